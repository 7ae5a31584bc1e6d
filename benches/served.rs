//! An API server in a process of its own, so that its work and memory are not those of the benchmark.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use kube_informer::testing::ApiServer;
use tokio::runtime::Builder as Runtime;

/// Makes the process an API server. The value says what it has.
const SERVE: &str = "KUBE_INFORMER_BENCH_SERVE";

/// The process of an API server. It ends when this is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) url: String,
}

/// Serves until the standard input ends.
pub(crate) fn serve(server: &ApiServer) {
    let runtime = Runtime::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let serving = server.serve().await.expect("a free port");
        println!("{}", serving.url());
        let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
        serving.shutdown().await;
    });
}

impl Server {
    /// What this process has to serve, if it is such a process.
    pub(crate) fn to_serve() -> Option<String> {
        std::env::var(SERVE).ok()
    }

    /// Starts this program again. There, [`to_serve`](Self::to_serve) returns `what`.
    pub(crate) fn start(what: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .env(SERVE, what)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program again");
        let mut url = String::new();
        let answers = process.stdout.take().expect("it is piped");
        BufReader::new(answers).read_line(&mut url).expect("its address");
        Self { process, url: url.trim_end().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
