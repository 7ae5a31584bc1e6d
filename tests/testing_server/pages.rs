//! Lists page by page.

use serde_json::{Value, json};

use crate::support::{NAME, WIDGETS, client, get, server, widget};

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pages_stay_at_the_version_of_the_first_one() {
    let server = server();
    let client = client(&server);
    for (name, x) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        server.create(widget(name, x)).unwrap();
    }
    let (_, first) = get(&client, &format!("{WIDGETS}?limit=2")).await;
    assert_eq!(first["metadata"]["remainingItemCount"], 2);
    server.delete(NAME, "default", "c").unwrap();
    server.create(widget("bb", 5)).unwrap();
    server.merge_patch(NAME, "default", "d", json!({ "spec": { "x": 9 } })).unwrap();

    let token = first["metadata"]["continue"].as_str().unwrap();
    let (_, second) = get(&client, &format!("{WIDGETS}?limit=2&continue={token}")).await;
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(second["items"][1]["spec"]["x"], 4);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);

    server.compact_all();
    let (code, expired) = get(&client, &format!("{WIDGETS}?limit=2&continue={token}")).await;
    assert_eq!((code, expired["reason"].as_str()), (410, Some("Expired")));
    let rest = expired["metadata"]["continue"].as_str().unwrap();
    let (_, rest) = get(&client, &format!("{WIDGETS}?limit=5&continue={rest}")).await;
    assert_eq!(names(&rest), ["bb", "d"]);
}
