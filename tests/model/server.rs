//! The service: parses requests, and responds to them with or without faults.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::time::Duration;

use http::{Request, Uri};
use kube_client::Client;
use kube_client::client::Body as RequestBody;
use rand::RngExt;
use rand::seq::IndexedRandom;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::body::{Body, Piece};
use crate::faults::{Fault, Manner};
use crate::history::Selection;
use crate::kind::{GROUP, KINDS, Which};
use crate::watching::Watching;
use crate::wire::{Answer, answer, gone, json_answer, line, nameless, refuse, status, too_large};
use crate::world::{Server, World};

/// A parsed request for a list or watch.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The informer that sends the request.
    pub(crate) peer: String,
    pub(crate) selection: Selection,
    pub(crate) watch: bool,
    pub(crate) streaming: bool,
    pub(crate) version: Option<u64>,
    limit: Option<usize>,
    token: Option<String>,
    pub(crate) timeout: Duration,
}

/// A fault that occurs before a request is handled.
enum Trouble {
    Refused(Duration),
    Hangs,
    Answered(Box<Answer>),
}

/// The result of a list or watch that is handled.
enum Reply {
    Now(Answer),
    /// The request is for a version that the server has not reached.
    Ahead {
        with_cause: bool,
    },
}

/// A client of the world's server.
pub(crate) fn client(world: &World, name: &str, gentle: bool) -> Client {
    let (world, name) = (world.clone(), name.to_owned());
    let service = tower::service_fn(move |request: Request<RequestBody>| {
        let (world, name) = (world.clone(), name.clone());
        let request = request.into_parts().0;
        async move { serve(&world, &name, gentle, &request.uri).await }
    });
    Client::new(service, "default")
}

async fn serve(world: &World, name: &str, gentle: bool, uri: &Uri) -> Answer {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let parameters: BTreeMap<String, String> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let asked = Asked::parse(name, path, &parameters);
    let peer = asked.as_ref().map_or(name, |asked| &asked.peer);
    let (trouble, pause) = world.lock().answering(peer, |server| {
        if let Some(asked) = asked.as_ref() {
            server.peers.entry(asked.peer.clone()).or_default().gentle = gentle;
            if asked.token.is_none() {
                server.begins(&asked.peer);
            }
        }
        let pause = Duration::from_millis(server.random.random_range(1..20));
        let pause = if server.happens(Fault::Slow, 0.3) { pause * 400 } else { pause };
        (trouble(server, asked.as_ref(), gentle), pause)
    });
    sleep(pause).await;
    let (answer, what) = match trouble {
        Some(Trouble::Hangs) => {
            world.log(format!("{name} {path} hangs"));
            return std::future::pending().await;
        }
        Some(Trouble::Refused(after)) => {
            sleep(after).await;
            (Err(Error::from(ErrorKind::ConnectionRefused).into()), "refused")
        }
        Some(Trouble::Answered(answer)) => (*answer, "answered badly"),
        None => match &asked {
            Some(asked) if asked.watch => (watch(world, asked).await, "watch"),
            Some(asked) => (list(world, asked).await, "list"),
            None => (discovery(&world.lock(), path), "discovery"),
        },
    };
    let code = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
    world.log(format!("{name} {path}?{query}: {code} {what}"));
    answer
}

impl Asked {
    fn parse(name: &str, path: &str, query: &BTreeMap<String, String>) -> Option<Self> {
        let parts: Vec<_> = path.trim_matches('/').split('/').collect();
        let (namespace, plural) = match parts[..] {
            ["apis", GROUP, "v1", plural] => (None, plural),
            ["apis", GROUP, "v1", "namespaces", namespace, plural] => (Some(namespace.to_owned()), plural),
            _ => return None,
        };
        let kind = (0..KINDS).find(|kind| Which(*kind).plural() == plural)?;
        let get = |name: &str| query.get(name).filter(|value| !value.is_empty()).cloned();
        let group = get("labelSelector").and_then(|label| label.strip_prefix("group=").map(str::to_owned));
        let selection = Selection { kind, namespace, group };
        Some(Self {
            peer: format!("{name} {selection:?}"),
            selection,
            watch: get("watch").is_some_and(|watch| watch == "true" || watch == "1"),
            streaming: get("sendInitialEvents").is_some_and(|wanted| wanted == "true"),
            version: get("resourceVersion").and_then(|version| version.parse().ok()),
            limit: get("limit").and_then(|limit| limit.parse().ok()),
            token: get("continue"),
            timeout: Duration::from_secs(
                get("timeoutSeconds").and_then(|time| time.parse().ok()).unwrap_or(300),
            ),
        })
    }
}

fn trouble(server: &mut Server, asked: Option<&Asked>, gentle: bool) -> Option<Trouble> {
    let asked_watch = asked.is_some_and(|asked| asked.watch && !asked.streaming);
    if server.outage {
        return Some(Trouble::Refused(Duration::ZERO));
    }
    let refused_late = || Trouble::Refused(Duration::from_secs(40));
    if server.blackhole {
        return Some(if gentle { refused_late() } else { Trouble::Hangs });
    }
    match server.manner {
        Manner::WatchesHang if asked_watch && !gentle => return Some(Trouble::Hangs),
        Manner::WatchesCut if asked_watch && !gentle => return Some(Trouble::Refused(Duration::ZERO)),
        Manner::NoWatch if asked_watch && !gentle => {
            return Some(Trouble::Answered(Box::new(refuse(405, "MethodNotAllowed"))));
        }
        _ => {}
    }
    if server.happens(Fault::Refuse, 0.4) {
        return Some(Trouble::Refused(Duration::from_millis(server.random.random_range(0..50))));
    }
    if server.happens(Fault::Hang, 0.1) {
        return Some(if gentle { refused_late() } else { Trouble::Hangs });
    }
    if server.happens(Fault::Code, 0.4) {
        let (code, reason) = *[
            (400, "BadRequest"),
            (401, "Unauthorized"),
            (403, "Forbidden"),
            (404, "NotFound"),
            (410, "Expired"),
            (429, "TooManyRequests"),
            (500, "InternalError"),
            (503, "ServiceUnavailable"),
            (504, "Timeout"),
        ]
        .choose(&mut server.random)?;
        let mut answer = refuse(code, reason);
        if code == 429
            && let Ok(answer) = &mut answer
        {
            let seconds = server.random.random_range(1..10u32);
            answer.headers_mut().insert("retry-after", seconds.into());
            let peer = asked.and_then(|asked| server.peers.get_mut(&asked.peer));
            if let Some(peer) = peer.filter(|peer| !peer.gentle) {
                peer.not_before = Some(Instant::now() + Duration::from_secs(seconds.into()));
            }
        }
        return Some(Trouble::Answered(Box::new(answer)));
    }
    if server.happens(Fault::Garbage, 0.2) {
        let code = *[200, 502].choose(&mut server.random)?;
        let text = *["<html>no</html>", "", "{}", "null", "{\"kind\":\"Status\",\"code\":500}"]
            .choose(&mut server.random)?;
        return Some(Trouble::Answered(Box::new(answer(code, Body::of([Piece::data(text)])))));
    }
    if asked.is_some_and(|asked| asked.version.is_some()) && server.happens(Fault::TooLarge, 0.3) {
        let cause = server.random.random_bool(0.5);
        return Some(Trouble::Answered(Box::new(too_large(cause))));
    }
    None
}

/// How far the replica lags behind.
fn lag(server: &mut Server) -> Duration {
    if server.happens(Fault::Lag, 0.8) {
        Duration::from_millis(server.random.random_range(100..20_000))
    } else {
        Duration::ZERO
    }
}

/// The refusal of a request that names a version, if the server's manner refuses all of them.
fn refuses_version(server: &Server, asked: &Asked) -> Option<Answer> {
    asked.version.filter(|version| *version > 0)?;
    match server.manner {
        Manner::NoHeldVersions => Some(refuse(500, "InternalError")),
        Manner::AllVersionsTooLarge => Some(too_large(false)),
        _ => None,
    }
}

async fn list(world: &World, asked: &Asked) -> Answer {
    let reply = world.lock().answering(&asked.peer, |server| list_now(server, asked));
    match reply {
        Reply::Now(answer) => answer,
        Reply::Ahead { with_cause } => late_too_large(with_cause).await,
    }
}

fn list_now(server: &mut Server, asked: &Asked) -> Reply {
    if !server.installed[asked.selection.kind] {
        return Reply::Now(not_found());
    }
    if let Some(token) = &asked.token {
        return Reply::Now(later_page(server, asked, token));
    }
    if let Some(refused) = refuses_version(server, asked) {
        return Reply::Now(refused);
    }
    let lag = lag(server);
    let replica = server.lineage().version_at(Instant::now() - lag);
    let version = match asked.version {
        None => stale(server, asked).unwrap_or(server.version()),
        Some(version) if version <= replica => replica,
        Some(_) if server.happens(Fault::StaleList, 0.5) && !is_gentle(server, asked) => replica,
        Some(_) => return Reply::Ahead { with_cause: server.random.random_bool(0.5) },
    };
    Reply::Now(page(server, asked, version, None))
}

/// A server that has not reached the version waits for a while before it refuses it.
async fn late_too_large(with_cause: bool) -> Answer {
    sleep(Duration::from_secs(3)).await;
    too_large(with_cause)
}

fn is_gentle(server: &Server, asked: &Asked) -> bool {
    server.peers.get(&asked.peer).is_some_and(|peer| peer.gentle)
}

/// A version that is too old for a consistent read, once per client.
fn stale(server: &mut Server, asked: &Asked) -> Option<u64> {
    let happens = server.happens(Fault::StaleList, 0.5);
    let born = server.born[asked.selection.kind].max(1);
    let newest = server.version();
    let version = server.random.random_range(0..=newest).max(born);
    let peer = server.peers.get_mut(&asked.peer)?;
    if !happens || peer.gentle || std::mem::replace(&mut peer.stale, true) {
        return None;
    }
    server.log(format!("shows {} the old version {version}", asked.peer));
    Some(version)
}

fn later_page(server: &mut Server, asked: &Asked, token: &str) -> Answer {
    let mut parts = token.splitn(4, '|');
    let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok());
    let (Some(lineage), Some(mut version)) = (number(), number()) else { return refuse(400, "BadRequest") };
    let (Some(namespace), Some(name)) = (parts.next(), parts.next()) else {
        return refuse(400, "BadRequest");
    };
    let lost = lineage as usize != server.lineages.len() - 1 || version < server.compacted;
    let never = server.manner == Manner::NoLaterPages && !is_gentle(server, asked);
    if lost || never || server.happens(Fault::ExpiredContinue, 0.7) {
        return gone();
    }
    if !is_gentle(server, asked) && server.happens(Fault::LowerPage, 0.5) {
        version = server.random.random_range(1..=version);
    }
    let after = (namespace.to_owned(), name.to_owned());
    page(server, asked, version, Some(&after))
}

fn page(server: &mut Server, asked: &Asked, version: u64, after: Option<&(String, String)>) -> Answer {
    server.sends(&asked.peer, version);
    let lineage = server.lineage();
    let state = lineage.state(asked.selection.kind, version).cloned().unwrap_or_default();
    let rest = state
        .iter()
        .filter(|(key, object)| after.is_none_or(|after| *key > after) && asked.selection.has(object));
    let limit = asked.limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let mut items: Vec<_> = rest.collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let token = more
        .then(|| items.last())
        .flatten()
        .map(|((namespace, name), _)| format!("{}|{version}|{namespace}|{name}", server.lineages.len() - 1));
    let mut items: Vec<_> = items.into_iter().map(|(_, object)| object.json(object.version)).collect();
    if server.happens(Fault::Nameless, 0.2) && !is_gentle(server, asked) {
        items.push(nameless(version));
    }
    let body = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "ThingList", "items": items,
        "metadata": { "resourceVersion": version.to_string(), "continue": token },
    })
    .to_string();
    let mut pieces = vec![Piece::data(body.clone())];
    if server.happens(Fault::Cut, 0.3) || server.happens(Fault::Stall, 0.1) && !is_gentle(server, asked) {
        let cut = server.random.random_range(0..=body.len());
        let cut = (0..=cut).rev().find(|at| body.is_char_boundary(*at)).unwrap_or_default();
        // The end of the body is not the end of the list, since the body has no announced length.
        let end =
            if server.faults.has(Fault::Stall) && server.random.random_bool(0.3) && !is_gentle(server, asked)
            {
                Piece::Stall
            } else if server.random.random_bool(0.3) {
                Piece::End
            } else {
                Piece::Cut
            };
        pieces = vec![Piece::data(&body[..cut]), end];
    } else if server.happens(Fault::Slow, 0.3) {
        let (first, second) = body.split_at(body.len() / 2);
        pieces = vec![Piece::data(first), Piece::Pause(Duration::from_secs(2)), Piece::data(second)];
    }
    answer(200, Body::of(pieces))
}

async fn watch(world: &World, asked: &Asked) -> Answer {
    let reply = world.lock().answering(&asked.peer, |server| watch_now(world, server, asked));
    match reply {
        Reply::Now(answer) => answer,
        Reply::Ahead { with_cause } => late_too_large(with_cause).await,
    }
}

fn watch_now(world: &World, server: &mut Server, asked: &Asked) -> Reply {
    let gentle = is_gentle(server, asked);
    if !server.installed[asked.selection.kind] {
        return Reply::Now(not_found());
    }
    let refuses = server.manner == Manner::NoStreaming || server.happens(Fault::StreamRefused, 0.5);
    if asked.streaming && refuses && !gentle {
        let (code, reason) =
            if server.random.random_bool(0.5) { (400, "BadRequest") } else { (422, "Invalid") };
        return Reply::Now(refuse(code, reason));
    }
    if asked.streaming
        && let Some(refused) = refuses_version(server, asked)
    {
        return Reply::Now(refused);
    }
    let lag = if gentle && asked.streaming { Duration::ZERO } else { lag(server) };
    let replica = server.lineage().version_at(Instant::now() - lag);
    let oldest = server.compacted.max(server.born[asked.selection.kind]);
    let newest = server.version();
    let from = match asked.version {
        // Some servers report this in the stream.
        Some(version) if version < oldest && !asked.streaming => {
            let line = line("ERROR", &status(410, "Expired", None));
            let in_stream = server.random.random_bool(0.5);
            return Reply::Now(if in_stream { answer(200, Body::of([Piece::data(line)])) } else { gone() });
        }
        Some(version) if version > replica && asked.streaming => {
            return Reply::Ahead { with_cause: server.random.random_bool(0.5) };
        }
        // Other servers wait without a response.
        Some(version) if version > newest && server.random.random_bool(0.5) => {
            return Reply::Ahead { with_cause: server.random.random_bool(0.5) };
        }
        Some(_) if asked.streaming => replica,
        Some(version) => version,
        None => newest,
    };
    let (pieces, watching) = Watching::open(world, server, asked, from, lag, gentle);
    Reply::Now(answer(200, Body::new(pieces, watching)))
}

fn not_found() -> Answer {
    answer(404, Body::of([Piece::data("404 page not found\n")]))
}

fn discovery(server: &Server, path: &str) -> Answer {
    let group_version = format!("{GROUP}/v1");
    let resources: Vec<_> = (0..KINDS)
        .filter(|kind| server.installed[*kind])
        .map(|kind| json!({ "name": Which(kind).plural(), "kind": "Thing", "namespaced": true }))
        .collect();
    if path == "/apis" {
        let versions = json!([{ "groupVersion": group_version, "version": "v1" }]);
        let groups =
            if resources.is_empty() { json!([]) } else { json!([{ "name": GROUP, "versions": versions }]) };
        return json_answer(200, &json!({ "kind": "APIGroupList", "groups": groups }));
    }
    if path == format!("/apis/{group_version}") && !resources.is_empty() {
        return json_answer(
            200,
            &json!({ "kind": "APIResourceList", "groupVersion": group_version, "resources": resources }),
        );
    }
    not_found()
}
