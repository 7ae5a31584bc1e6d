//! What an informer logs at the default level: one line for each change that an operator acts on.

use std::time::Duration;

use kube_client::Api;
use kube_informer::testing::{Fault, FaultAction};
use kube_informer::{Absent, Config, Informer};
use tokio::time::sleep;

use crate::captured::Captured;
use crate::faults::respond;
use crate::support::*;

#[tokio::test(start_paused = true)]
async fn one_warning_for_each_streak_of_failures_and_one_line_when_it_is_over() {
    let server = server();
    let log = Captured::default();
    let _capturing = log.info();
    let api = Api::<Widget>::namespaced(kube_client::Client::new(server.service(), "default"), "a");
    let informer = Informer::builder(api).labels("app=web").start();
    let span = "informer{kind=\"widgets.example.com\" scope=in a with labels app=web}:";
    informer.synced().await.unwrap();
    settle().await;
    assert_eq!(log.lines(), [format!("INFO {span} synced")]);

    // A watch that ends in order, or breaks and recovers, is not logged.
    server.disconnect_watches();
    settle().await;
    assert_eq!(log.lines(), [""; 0]);

    for (fault, error) in
        [(respond(503), "503"), (FaultAction::Reset, "the request failed"), (respond(500), "500")]
    {
        server.inject(Fault::new(fault).times(0));
        server.disconnect_watches();
        sleep(Duration::from_secs(600)).await;
        let lines = log.lines();
        let [line] = &lines[..] else { panic!("not one line for a streak: {lines:#?}") };
        assert!(line.starts_with(&format!("WARN {span} cannot follow the API server; retrying")), "{line}");
        assert!(line.contains(error), "{line}");
        server.clear_faults();
        sleep(Duration::from_secs(60)).await;
        let lines = log.lines();
        let [line] = &lines[..] else { panic!("not one line for a recovery: {lines:#?}") };
        assert!(line.starts_with(&format!("INFO {span} recovered stale=Some(6")), "{line}");
    }
    informer.shutdown().await;
    assert_eq!(log.lines(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_refused_or_not_installed_is_a_warning_of_its_own() {
    let server = server();
    assert!(server.uninstall(WIDGETS));
    let log = Captured::default();
    let _capturing = log.info();
    let waiting = Informer::builder(api(&server)).start();
    sleep(Duration::from_secs(600)).await;
    let lines = log.lines();
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    assert!(line.starts_with("WARN ") && line.contains("does not serve the kind"), "{line}");
    waiting.shutdown().await;

    let empty = Informer::builder(api(&server)).config(Config::new().absent(Absent::Empty)).start();
    empty.synced().await.unwrap();
    sleep(Duration::from_secs(600)).await;
    let lines = log.lines();
    assert!(
        matches!(&lines[..], [absent, synced] if absent.contains("the kind is not installed") && synced.contains("synced")),
        "{lines:#?}"
    );
}
