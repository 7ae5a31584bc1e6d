//! The server on a loopback port: HTTP/1.1, one task per connection, all owned by the [`Serving`].

use std::net::{Ipv4Addr, SocketAddr};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::service::ApiService;

/// How many connections may wait to be accepted, unless the system has a lower limit. One more is delayed by a second.
const BACKLOG: u32 = 4096;

/// A server that listens on a port. From [`ApiServer::serve`](super::ApiServer::serve).
///
/// Soon after it is dropped, the listener and every connection end. [`shutdown`](Serving::shutdown) also waits for
/// that.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    stop: CancellationToken,
    accept: Option<JoinHandle<()>>,
}

impl Serving {
    pub(super) async fn start(service: ApiService) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let accept = tokio::spawn(accept(listener, service, stop.clone()));
        Ok(Self { address, stop, accept: Some(accept) })
    }

    /// The address on which it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the server, `http://127.0.0.1:port`. Allocates.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops listening, cuts every connection, and waits until their tasks have ended. Cancel-safe: if the call is
    /// dropped, the tasks end too.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(accept) = self.accept.take() {
            // It does not panic, and no other code can abort it.
            let _ = accept.await;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, service: ApiService, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, service.clone()));
                }
                // No file descriptors are left, or the peer is gone already. The next attempt may succeed.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, service: ApiService) {
    // Watch events are small and must not wait for each other's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request| service.answer(request));
    // An error means that the client is gone, or that a fault cut the connection.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
