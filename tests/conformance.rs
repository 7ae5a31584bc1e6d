//! The in-process API server answers the script of requests as a real kube-apiserver did.

/// The script, shared with the suite on a real server.
mod support {
    pub(crate) mod conformance;
}

use futures_util::FutureExt;
use http::header::AUTHORIZATION;
use kube_client::Client;
use kube_client::client::Body;
use kube_informer::testing::{ApiServer, Rule};
use tower::ServiceExt;

use support::conformance::{Recorded, Target, differences, run, script};

fn client(server: &ApiServer, token: &'static str) -> Client {
    let service = server.service().map_request(move |mut request: http::Request<Body>| {
        let value = http::HeaderValue::from_static(token);
        request.headers_mut().insert(AUTHORIZATION, value);
        request
    });
    Client::new(service, "default")
}

async fn ours() -> Vec<Recorded> {
    let server = ApiServer::builder()
        .token("admin", "admin")
        .token("nobody", "nobody")
        .deny(Rule::all().user("nobody"))
        .managed_fields(true)
        .shards(true)
        .build();
    let target = Target {
        admin: client(&server, "Bearer admin"),
        nobody: client(&server, "Bearer nobody"),
        nobody_name: "nobody".into(),
        stranger: client(&server, "Bearer stranger"),
        compact: Box::new(|| {
            server.compact_all();
            async { Ok(()) }.boxed_local()
        }),
    };
    run(&target, &script()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn it_answers_as_a_real_server() {
    let real: Vec<Recorded> =
        serde_json::from_str(include_str!("support/conformance/recorded.json")).unwrap();
    let script = script();
    let asked = script.iter().filter(|step| step.method != "COMPACT").count();
    assert!(asked >= 150, "{asked} requests");
    let found = differences(&script, &real, &ours().await);
    assert!(found.is_empty(), "{} of {asked} differ:\n{}", found.len(), found.join("\n"));
}
