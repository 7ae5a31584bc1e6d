//! Promise 6 in bytes: what is live, what an old world costs, and the peak of a relist.
//!
//! Every byte that this process asks its allocator for is counted, at every moment, the transport's included; growing
//! a buffer counts as both the old and the new one. So that the API server is not counted it is a process of its own:
//! this test again, told by its environment to serve, which takes commands on its standard input and answers over
//! loopback HTTP.
//!
//! The clock stands still but for when the test moves it. What is due (the sweep of old versions, a watch that counts
//! as good) is due at once, and nothing else is.

use std::any::Any;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, Client, Config};
use kube_informer::testing::ApiServer;
use kube_informer::{Index, Informer, Phase, builder::Builder, index};
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt;
use tokio::runtime::Builder as Runtime;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Tells the process that it is the API server.
const SERVE: &str = "KUBE_INFORMER_TEST_SERVE";

const NAMESPACES: usize = 50;
const OBJECTS: usize = 3_000;
const PAGE: u32 = 25;
const RELISTS: usize = 20;

/// What takes longer than this, by the wall clock, never ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a relist in pages may have beside the objects: the JSON of a page, which has less than 2.5 KiB for each object,
/// as it arrived and once more while its parts are joined, or taken apart.
const PAGE_BYTES: usize = PAGE as usize * 2 * 2_560;

/// A connection has room for what it reads ahead, up to 408 KiB in hyper, and keeps it while it is open. What a
/// streaming list has undecoded is in there.
const TRANSPORT: usize = 512 << 10;

// === The API server: a process of its own ===

fn object(at: usize, generation: u32) -> Value {
    // From 1 to 2 KiB of data, evenly, and no two alike.
    let lines = 10 + at % 16;
    let data: serde_json::Map<_, _> = (0..lines)
        .map(|line| (format!("line-{line:02}"), format!("{at:032}-{generation:032}").into()))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": name(at), "namespace": format!("namespace-{}", at % NAMESPACES),
            "labels": { "generation": generation.to_string(), "group": format!("group-{}", at % 500) },
        },
        "data": data,
    })
}

fn name(at: usize) -> String {
    format!("some-config-map-of-an-application-{at:05}")
}

/// Serves until its standard input ends. A command is answered with a line when it is done. Nothing is served meanwhile,
/// so what `change-unseen` does is found by a list.
fn serve() {
    let runtime = Runtime::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = ApiServer::new();
        for at in 0..NAMESPACES {
            let metadata = json!({ "name": format!("namespace-{at}") });
            server.create(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata })).unwrap();
        }
        for at in 0..OBJECTS {
            server.create(object(at, 0)).unwrap();
        }
        let serving = server.serve().await.unwrap();
        println!("\nserving {}", serving.url());
        let mut relists = 0;
        let mut commands = tokio::io::BufReader::new(tokio::io::stdin()).lines();
        while let Some(command) = commands.next_line().await.unwrap() {
            let words: Vec<_> = command.split(' ').collect();
            let number = |at: usize| words[at].parse::<u32>().unwrap();
            if let "change" | "change-unseen" = words[0] {
                for at in (0..OBJECTS).step_by(number(1) as usize) {
                    server.update(object(at, number(2))).unwrap();
                }
            }
            if let "relist" | "change-unseen" = words[0] {
                // Something else moves on, so that the version held is always one that is no longer kept.
                relists += 1;
                let touch = json!({ "metadata": { "labels": { "touched": relists.to_string() } } });
                server.merge_patch("namespaces", None, "namespace-0", touch).unwrap();
                server.disconnect_watches();
                server.compact_all();
            }
            println!("done");
        }
        serving.shutdown().await;
    });
}

/// The other process, which ends with this value, and what is asked of it.
struct Link {
    process: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    line: String,
    generation: u32,
    /// What is being measured.
    what: &'static str,
}

/// How a change comes to the informer.
#[derive(Clone, Copy, Debug)]
enum Seen {
    ByTheWatch,
    ByAList,
}

impl Link {
    fn spawn() -> (Self, String) {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "p06_memory_is_bounded_in_bytes", "--nocapture"])
            .env(SERVE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (commands, answers) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        let mut link = Self { process, commands, answers, line: String::new(), generation: 0, what: "" };
        let url = loop {
            let line = link.line();
            if let Some(url) = line.strip_prefix("serving ") {
                break url.to_owned();
            }
        };
        (link, url)
    }

    /// The next line of the server. On a busy machine, the test harness of that process adds lines of its own.
    fn line(&mut self) -> &str {
        loop {
            self.line.clear();
            assert!(self.answers.read_line(&mut self.line).unwrap() > 0, "the server has ended");
            if !self.line.starts_with("test ") {
                return self.line.trim_end();
            }
        }
    }

    fn run(&mut self, command: &str) {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
        assert_eq!(self.line(), "done");
    }

    /// Gives every `step`-th object another generation.
    fn change(&mut self, step: usize, seen: Seen) -> u32 {
        self.generation += 1;
        let verb = match seen {
            Seen::ByTheWatch => "change",
            Seen::ByAList => "change-unseen",
        };
        self.run(&format!("{verb} {step} {}", self.generation));
        self.generation
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The end of its input is the end of it.
        self.commands = None;
        let _ = self.process.wait();
    }
}

// === The informer's process ===

/// A projection that keeps little of an object.
struct Kept {
    generation: String,
    group: String,
    _first_line: String,
}

impl From<ConfigMap> for Kept {
    fn from(map: ConfigMap) -> Self {
        let mut labels = map.metadata.labels.unwrap_or_default();
        let mut label = |name| labels.remove(name).unwrap_or_default();
        let (generation, group) = (label("generation"), label("group"));
        let first_line = map.data.and_then(|data| data.into_values().next());
        Self { generation, group, _first_line: first_line.unwrap_or_default() }
    }
}

/// An informer, what it shows, and what there was without it.
struct Subject<T> {
    informer: Informer<T>,
    by_generation: Index<T, String>,
    without: usize,
}

impl<T: Send + Sync + 'static> Subject<T> {
    async fn start(
        mut builder: Builder<ConfigMap, T>,
        by_generation: Index<T, String>,
        without: usize,
    ) -> Self {
        builder.index(index::namespace());
        let informer = builder.start();
        informer.synced().await.unwrap();
        let subject = Self { informer, by_generation, without };
        subject.settle().await;
        subject
    }

    /// Waits until the server is watched, then lets everything happen that is due within some seconds.
    async fn settle(&self) {
        self.until(|| self.informer.status().phase == Phase::Watching).await;
        for _ in 0..30 {
            tokio::time::advance(Duration::from_millis(100)).await;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn shows(&self, count: usize, generation: u32) {
        let generation = generation.to_string();
        self.until(|| {
            self.informer.read(|view| view.by_index(&self.by_generation, &generation).len() == count)
        })
        .await;
    }

    /// Waits for I/O, which the clock has no part in, unless the informer itself waits for the clock.
    async fn until(&self, mut condition: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < PATIENCE, "waited in vain; {:?}", self.informer.status());
            tokio::task::yield_now().await;
            let status = self.informer.status();
            let step = match status.phase {
                Phase::BackingOff => 100,
                // Between two watches; in small steps, as it may be waiting for I/O as well.
                Phase::Watching if status.stale_since.is_some() => 1,
                _ => continue,
            };
            tokio::time::advance(Duration::from_millis(step)).await;
        }
    }

    /// Waits until no more than `most` bytes are live. Old versions are freed in turns, so how many polls that takes
    /// depends on how fast the machine is; what is never freed fails after [`PATIENCE`].
    async fn settles_within(&self, most: usize) -> usize {
        let begun = Instant::now();
        loop {
            self.settle().await;
            let live = self.live();
            if live <= most || begun.elapsed() >= PATIENCE {
                return live;
            }
        }
    }

    /// Bytes that are there because the informer is.
    fn live(&self) -> usize {
        ALLOCATOR.current_usage().saturating_sub(self.without)
    }

    /// The most that there were since the last reset.
    fn peak(&self) -> usize {
        ALLOCATOR.peak_usage().saturating_sub(self.without)
    }
}

fn client(url: &str) -> Client {
    Client::try_from(Config::new(url.parse().unwrap())).unwrap()
}

/// Goes through all that the promise names. `undecoded` is what a relist may have beside the objects.
async fn check<T: Send + Sync + 'static>(subject: Subject<T>, undecoded: usize, link: &mut Link) {
    let live = subject.live();
    println!("{}: live {live}, {} each", link.what, live / OBJECTS);
    check_relists(&subject, live, undecoded, link).await;
    check_growth(&subject, live + undecoded, link).await;
    for holder in [Holder::Snapshot, Holder::Subscription] {
        check_holder(&subject, live, holder, link).await;
    }
    let Subject { informer, without, .. } = subject;
    informer.shutdown().await;
    drop(informer);
    assert_at_most(link, "left of it", ALLOCATOR.current_usage(), without + TRANSPORT);
}

/// A tenth of the objects has changed, as far from each other as can be.
async fn check_relists<T: Send + Sync + 'static>(
    subject: &Subject<T>,
    live: usize,
    undecoded: usize,
    link: &mut Link,
) {
    for _ in 0..3 {
        let lists = subject.informer.stats().lists;
        ALLOCATOR.reset_peak_usage();
        let generation = link.change(10, Seen::ByAList);
        subject.shows(OBJECTS / 10, generation).await;
        let peak = subject.peak();
        assert_eq!(subject.informer.stats().lists, lists + 1, "not found by one list");
        assert_at_most(link, "peak of a relist", peak, live + live / 5 + undecoded);
        subject.settle().await;
    }
}

async fn check_growth<T: Send + Sync + 'static>(subject: &Subject<T>, before: usize, link: &mut Link) {
    for _ in 0..RELISTS {
        let lists = subject.informer.stats().lists;
        link.run("relist");
        subject.until(|| subject.informer.stats().lists > lists).await;
        subject.settle().await;
    }
    // Three bytes for each object and relist are less than a pointer: whatever is kept, it is no list of objects.
    let most = before + 3 * OBJECTS * RELISTS;
    assert_at_most(link, "live after many relists", subject.settles_within(most).await, most);
}

#[derive(Clone, Copy, Debug)]
enum Holder {
    Snapshot,
    Subscription,
}

/// Every object changes repeatedly, while a reader keeps its position.
async fn check_holder<T: Send + Sync + 'static>(
    subject: &Subject<T>,
    live: usize,
    holder: Holder,
    link: &mut Link,
) {
    let informer = &subject.informer;
    let held: Box<dyn Any> = match holder {
        Holder::Snapshot => Box::new(informer.snapshot()),
        Holder::Subscription => {
            let mut subscription = informer.subscribe();
            subscription.next().await.unwrap();
            Box::new(subscription)
        }
    };
    for seen in [Seen::ByTheWatch, Seen::ByAList, Seen::ByTheWatch] {
        let generation = link.change(1, seen);
        subject.shows(OBJECTS, generation).await;
        let two_worlds = 2 * live + live / 20 + TRANSPORT;
        let beside = subject.settles_within(two_worlds).await;
        assert!(beside > live + live / 4, "a {holder:?} holds what it had");
        assert_at_most(link, &format!("live beside a {holder:?}"), beside, two_worlds);
    }
    drop(held);
    let one_world = live + live / 20 + TRANSPORT;
    let without = subject.settles_within(one_world).await;
    assert_at_most(link, &format!("live without the {holder:?}"), without, one_world);
}

#[track_caller]
fn assert_at_most(link: &Link, what: &str, bytes: usize, most: usize) {
    println!("{}: {what}: {bytes} of {most}", link.what);
    assert!(bytes <= most, "{}: {what}: {bytes} bytes, {most} at most", link.what);
}

#[test]
fn p06_memory_is_bounded_in_bytes() {
    if std::env::var_os(SERVE).is_some() {
        return serve();
    }
    let (mut link, url) = Link::spawn();
    let runtime = Runtime::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        // While this runs, the clock does not move by itself.
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let holds_the_clock = tokio::task::spawn_blocking(move || stopped.recv());
        let api = || Api::<ConfigMap>::all(client(&url));

        for (what, streaming) in [("whole, in pages", false), ("whole, streamed", true)] {
            link.what = what;
            let without = ALLOCATOR.current_usage();
            let mut builder = Informer::builder(api())
                .config(kube_informer::Config::new().streaming_lists(streaming).page_size(PAGE));
            let by_generation = builder.index(index::label("generation"));
            let subject = Subject::start(builder, by_generation, without).await;
            check(subject, if streaming { TRANSPORT } else { 0 }, &mut link).await;
        }

        // What is kept is an eighth of what is listed, so a page counts.
        link.what = "projected, in pages";
        let without = ALLOCATOR.current_usage();
        let mut builder = Informer::builder(api())
            .config(kube_informer::Config::new().streaming_lists(false).page_size(PAGE))
            .project(Kept::from);
        let by_generation = builder.index(|kept: &Kept| kept.generation.clone());
        builder.index(|kept: &Kept| kept.group.clone());
        let subject = Subject::start(builder, by_generation, without).await;
        check(subject, PAGE_BYTES, &mut link).await;

        drop(stop);
        let _ = holds_the_clock.await;
    });
}
