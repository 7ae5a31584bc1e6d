//! Over loopback HTTP, with kube's client as anybody has it.

use std::sync::Arc;

use http::Method;
use kube_client::{Client, Config};
use kube_informer::testing::{Fault, FaultAction, Serving};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;

use crate::support::{NAME, WIDGETS, get, next, send, server, watch, widget};

fn client(serving: &Serving) -> Client {
    Client::try_from(Config::new(serving.url().parse().unwrap())).unwrap()
}

#[tokio::test]
async fn shutdown_leaves_no_task_whatever_is_open() {
    let server = server();
    let metrics = Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let serving = server.serve().await.unwrap();
    let mut idle = tokio::net::TcpStream::connect(serving.addr()).await.unwrap();
    let mut hanging = tokio::net::TcpStream::connect(serving.addr()).await.unwrap();
    let mut watching = tokio::net::TcpStream::connect(serving.addr()).await.unwrap();
    server.inject(Fault::new(FaultAction::Hang).verb("get"));
    let ask = |path: String| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    hanging.write_all(ask(format!("{WIDGETS}/a")).as_bytes()).await.unwrap();
    watching.write_all(ask(format!("{WIDGETS}?watch=true")).as_bytes()).await.unwrap();
    let mut head = [0; 12];
    watching.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    while server.requests().count("get", NAME) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(metrics.num_alive_tasks() - before, 4, "the listener and three connections");
    serving.shutdown().await;
    assert_eq!(metrics.num_alive_tasks(), before);
    assert_eq!(idle.read(&mut head).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn dropping_ends_everything_too() {
    let server = server();
    let metrics = Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let serving = server.serve().await.unwrap();
    let mut connection = tokio::net::TcpStream::connect(serving.addr()).await.unwrap();
    drop(serving);
    assert_eq!(connection.read(&mut [0]).await.unwrap_or(0), 0);
    while metrics.num_alive_tasks() > before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_rebuilds_what_many_writers_leave() {
    let server = Arc::new(server());
    let serving = server.serve().await.unwrap();
    let client = client(&serving);
    let mut stream = watch(&client, "resourceVersion=0").await;
    let writers: Vec<_> = (0..4_u32)
        .map(|writer| {
            let client = client.clone();
            tokio::spawn(async move {
                for round in 0..50_u32 {
                    let name = format!("w{}", (writer + round) % 7);
                    let path = format!("{WIDGETS}/{name}");
                    match round % 3 {
                        0 => {
                            send(&client, Method::POST, WIDGETS, "application/json", widget(&name, round))
                                .await
                        }
                        1 => {
                            send(
                                &client,
                                Method::PATCH,
                                &path,
                                "application/merge-patch+json",
                                widget(&name, round),
                            )
                            .await
                        }
                        _ => {
                            send(&client, Method::DELETE, &path, "application/json", serde_json::Value::Null)
                                .await
                        }
                    };
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    server.create(widget("zz-last", 0)).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let event = next(&mut stream).await.unwrap().unwrap();
        match event.split_once(' ').unwrap() {
            ("ADDED", name) => assert!(seen.insert(name.to_owned()), "{event} twice"),
            ("MODIFIED", name) => assert!(seen.contains(name), "{event} before ADDED"),
            (_, name) => assert!(seen.remove(name), "{event} of nothing"),
        }
        if event == "ADDED zz-last" {
            break;
        }
    }
    let (_, list) = get(&client, WIDGETS).await;
    let names: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|o| o["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, seen.iter().map(String::as_str).collect::<Vec<_>>());
    serving.shutdown().await;
}
