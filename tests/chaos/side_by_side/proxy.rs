//! A TCP proxy that harms what goes through it. TLS passes through unseen.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::plan::{Fault, Then};

/// Held of each direction of a connection.
const BUFFER: usize = 16 << 10;
/// What gets through a slow connection at once, and how often: 100 kB/s.
const SLOW_CHUNK: usize = 1 << 10;
const SLOW_PAUSE: Duration = Duration::from_millis(10);

/// Listens on a port of its own until it is stopped.
pub(crate) struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What befalls connections at the moment. Those made before a number grew are meant by that.
#[derive(Clone, Copy, Default)]
struct Mode {
    cuts: u64,
    half_chunks: u64,
    refuses: bool,
    stalls: bool,
    slow: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

// === impl Proxy ===

impl Proxy {
    pub(crate) async fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (mode, _) = watch::channel(Mode::default());
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let accepting = accept(listener, server, mode.clone(), stop.clone(), tasks.clone());
        tasks.spawn(stop.clone().run_until_cancelled_owned(accepting));
        tasks.close();
        Ok(Self { address, mode, stop, tasks })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The fault begins.
    pub(crate) fn begin(&self, fault: Fault) {
        self.mode.send_modify(|mode| match fault {
            Fault::Cut => mode.cuts += 1,
            Fault::HalfChunk => mode.half_chunks += 1,
            Fault::Refuse(_) => {
                mode.cuts += 1;
                mode.refuses = true;
            }
            Fault::Stall(..) => mode.stalls = true,
            Fault::Slow(_) => mode.slow = true,
        });
    }

    /// The fault is over, after its length.
    pub(crate) fn end(&self, fault: Fault) {
        self.mode.send_modify(|mode| {
            if let Fault::Stall(_, Then::Cut) = fault {
                mode.cuts += 1;
            }
            *mode = Mode { cuts: mode.cuts, half_chunks: mode.half_chunks, ..Mode::default() };
        });
    }

    /// Ends all connections, and waits for that.
    pub(crate) async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    mode: watch::Sender<Mode>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            sleep(SLOW_PAUSE).await; // out of descriptors: others will be closed
            continue;
        };
        let mode = mode.subscribe();
        if mode.borrow().refuses {
            let _ = client.set_zero_linger(); // dropped with it, a socket resets its connection
            continue;
        }
        tasks.spawn(stop.clone().run_until_cancelled_owned(connection(client, server, mode)));
    }
}

async fn connection(client: TcpStream, server: SocketAddr, mode: watch::Receiver<Mode>) {
    let since = *mode.borrow();
    let mut cuts = mode.clone();
    tokio::select! {
        biased;
        _ = cuts.wait_for(|now| now.cuts != since.cuts) => {}
        () = relay(client, server, mode, since) => {}
    }
}

/// Until one side ends, or a fault has.
async fn relay(mut client: TcpStream, server: SocketAddr, mode: watch::Receiver<Mode>, since: Mode) {
    // While the server is down, the client sees its connection end as soon as it was made.
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    tokio::select! {
        _ = pump(&mut from_client, &mut to_server, Side::Client, mode.clone(), since) => {}
        _ = pump(&mut from_server, &mut to_client, Side::Server, mode, since) => {}
    }
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    side: Side,
    mut mode: watch::Receiver<Mode>,
    since: Mode,
) -> Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let now = *mode.wait_for(|mode| !mode.stalls).await?;
        if side == Side::Server && now.half_chunks != since.half_chunks {
            return Ok(to.write_all(&buffer[..read / 2]).await?);
        }
        let chunk = if now.slow { SLOW_CHUNK } else { BUFFER };
        for chunk in buffer[..read].chunks(chunk) {
            to.write_all(chunk).await?;
            if mode.borrow().slow {
                sleep(SLOW_PAUSE).await;
            }
        }
    }
}
