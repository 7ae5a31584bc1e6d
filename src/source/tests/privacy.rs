//! Promise 9: no error or log contains a value of an object or a body.

use std::io;

use k8s_openapi::api::core::v1::Secret;

use super::*;

const MARKER: &str = "Th3-S3cr3t-M4rk3r";

/// The captured log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bodies with one error each, with the marker wherever a value may be.
fn bodies() -> Vec<String> {
    let marked = |text: &str| text.replace('@', MARKER);
    let objects = [
        r#""@""#,
        r#"["@"]"#,
        r#"{"@":"@"}"#,
        r#"{"metadata":"@"}"#,
        r#"{"metadata":{"name":["@"],"resourceVersion":"1"}}"#,
        r#"{"metadata":{"name":"a","resourceVersion":{"@":"@"}}}"#,
        r#"{"metadata":{"name":"a","resourceVersion":"1","labels":"@"},"data":{"k":"@"}}"#,
        r#"{"metadata":{"name":"a","resourceVersion":"1","labels":{"x":["@"]}},"data":{"k":"@"}}"#,
        r#"{"metadata":{"name":"a","resourceVersion":"1","creationTimestamp":"@"}}"#,
        r#"{"metadata":{"name":"a","resourceVersion":"1"},"data":{"k":"@"}}"#,
        r#"{"metadata":{"name":"a","resourceVersion":"1"},"data":"@","type":["@"]}"#,
        r#"{"apiVersion":"@","kind":"@","metadata":{"name":"a","resourceVersion":"1"}}"#,
        r#"{"apiVersion":"v1","kind":"@","metadata":{"name":"a","resourceVersion":"1"}}"#,
        r#"{"metadata":{"name":"a","resourceVersion":"1"},"immutable":"@"}"#,
        r#"{"kind":"Status","reason":"@","message":"@","code":400,"details":{"causes":[{"reason":"@"}]}}"#,
        r#"{"metadata":{"resourceVersion":["@"]}}"#,
    ];
    let mut bodies =
        vec![marked("@"), marked("<html>@"), marked(r#"{"metadata":{"resourceVersion":["@"]},"items":"@"}"#)];
    for object in objects.map(marked) {
        for kind in ["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", MARKER] {
            bodies.push(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"));
        }
        bodies.push(format!(r#"{{"metadata":{{"resourceVersion":"1"}},"items":[{object}]}}"#));
        bodies.push(object);
    }
    bodies
}

/// Reads a body in every way and collects all texts of all errors.
async fn everything_said(body: &str) -> String {
    let mut said = String::new();
    for (code, headers) in
        [(200, &[][..]), (400, &[("retry-after", MARKER), ("x", MARKER)][..]), (503, &[][..])]
    {
        let (client, _) = client(code, headers, Some(data(body)));
        let mut source: HttpSource =
            HttpSource::new(Api::<Secret>::all(client), &(), Part::default(), Limits::default());
        let decoder = Decoder::<Secret>::new(&(), false);
        let mut listed = Vec::new();
        match source.list(&ListRequest::default()).await {
            Err(error) => said += &texts(&error),
            Ok(page) => listed.extend(page.items),
        }
        match source.watch(&watching()).await {
            Err(error) => said += &texts(&error),
            Ok(mut watch) => {
                while let Some(event) = watch.next().await {
                    match event {
                        Err(error) => said += &texts(&error),
                        Ok(WatchEvent::Deleted(Err(error))) => said += &texts(&error),
                        Ok(WatchEvent::Applied(item)) => listed.push(item),
                        Ok(_) => {}
                    }
                }
            }
        }
        for item in listed {
            if let Err(error) = item.and_then(|item| decoder.decode_item(item)) {
                said += &texts(&error);
            }
        }
    }
    said
}

#[tokio::test]
async fn no_error_and_no_log_line_quotes_a_body() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    tracing::trace!("the log works");
    let mut said = 0;
    for body in bodies() {
        let texts = everything_said(&body).await;
        assert!(!texts.contains(MARKER), "{body}\n{texts}");
        said += texts.len();
    }
    assert!(said > 10_000, "the bodies were wrong");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the log works"));
    assert!(!log.contains(MARKER), "{log}");
}
