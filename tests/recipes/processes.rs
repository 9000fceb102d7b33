//! Holders that are processes of their own: stopped past the end of their session and continued, or
//! killed.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use znode::CreateMode;
use znode_recipes::{LockErrorKind, Mutex};

use crate::ground::{Ground, LOCK, SHORT, children_are, soon};

/// How many sections are to be done; `ZNODE_TEST_SECTIONS` asks for more.
const SECTIONS: usize = 400;
const HOLDERS: usize = 4;

/// A holder; killed when it is dropped.
struct Holder {
    child: Child,
    stdin: ChildStdin,
    told: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    fn start(ground: &Ground, what: &str) -> Self {
        let timeout_ms = SHORT.as_millis().to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_lock-holder-under-test"))
            .args([&ground.connect_string(), &timeout_ms, what])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let told = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdin, told }
    }

    async fn tells(&mut self) -> String {
        soon(self.told.next_line()).await.unwrap().expect("it goes on")
    }

    fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }
}

async fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status().await.unwrap();
    assert!(sent.success());
}

/// A resource that is no part of ZooKeeper: it refuses lower tokens than it has seen.
#[derive(Default)]
struct Resource {
    highest: i64,
}

impl Resource {
    fn write(&mut self, token: i64) -> bool {
        let is_accepted = token >= self.highest;
        self.highest = self.highest.max(token);
        is_accepted
    }
}

#[tokio::test]
async fn fact_03_fact_04_a_holder_stopped_past_its_session_writes_nothing_when_it_goes_on() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/record", "before", CreateMode::Persistent)).await.unwrap();
    let mut resource = Resource::default();
    for _ in 0..3 {
        let mut holder = Holder::start(&ground, "hold");
        let held = holder.tells().await;
        let token: i64 = held.strip_prefix("held ").unwrap().parse().unwrap();
        assert!(resource.write(token));
        signal(holder.pid(), "-STOP").await;
        // The next one holds as soon as the session is over.
        let next = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
        assert!(resource.write(next.token().0));
        let written = next.client().set_data("/record", "next", znode::Version::ANY);
        let stat = soon(written).await.unwrap();
        holder.stdin.write_all(b"write\n").await.unwrap();
        signal(holder.pid(), "-CONT").await;
        let told = holder.tells().await;
        assert!(told.starts_with(&format!("refused {:?}", LockErrorKind::LockLost)), "{told}");
        assert!(!told.ends_with("Unknown"), "{told}");
        assert_eq!(holder.tells().await, "lost SessionExpired");
        assert!(!resource.write(token), "a former holder is let in");
        let (data, now) = soon(client.get_data("/record")).await.unwrap();
        assert_eq!((&data[..], now.mzxid), (&b"next"[..], stat.mzxid));
        soon(next.release()).await.unwrap();
    }
    ground.nothing_left().await;
}

/// What all holders have told.
#[derive(Default)]
struct Tally {
    done: AtomicUsize,
    unknown: AtomicUsize,
}

/// Counts what a holder tells until it is killed.
async fn listen(mut told: Lines<BufReader<ChildStdout>>, tally: Arc<Tally>) {
    let mut last = 0;
    while let Ok(Some(line)) = told.next_line().await {
        match line.strip_prefix("done ") {
            Some(token) => {
                let token: i64 = token.parse().unwrap();
                assert!(token > last, "{token} after {last}");
                last = token;
                tally.done.fetch_add(1, Ordering::SeqCst);
            }
            None => {
                assert_eq!(line, "unknown");
                tally.unknown.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

#[tokio::test]
async fn sections_under_pauses_and_kills_lose_no_update() {
    let sections = std::env::var("ZNODE_TEST_SECTIONS");
    let sections = sections.map_or(SECTIONS, |number| number.parse().expect("a number"));
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/counter", "0", CreateMode::Persistent)).await.unwrap();
    let tally = Arc::new(Tally::default());
    let (mut holders, mut listeners, mut killed) = (Vec::new(), Vec::new(), 0);
    let mut start = |ground: &Ground, tally: &Arc<Tally>| {
        let Holder { child, stdin, told } = Holder::start(ground, "count");
        listeners.push(tokio::spawn(listen(told, Arc::clone(tally))));
        (child, stdin)
    };
    holders.extend((0..HOLDERS).map(|_| start(&ground, &tally)));
    let mut blows = 0_u64;
    while tally.done.load(Ordering::SeqCst) < sections || blows < 12 {
        // Whom it hits, and where, is as good as random.
        let victim = usize::try_from(client.random() % 4).unwrap();
        let pid = holders[victim].0.id().expect("it runs");
        if blows % 3 == 2 {
            holders[victim].0.kill().await.unwrap();
            killed += 1;
            holders[victim] = start(&ground, &tally);
        } else {
            signal(pid, "-STOP").await;
            let past_its_session = SHORT + SHORT / 2;
            let time = if blows.is_multiple_of(3) { past_its_session } else { SHORT / 4 };
            tokio::time::sleep(time).await; // the clock of other processes cannot be paused
            signal(pid, "-CONT").await;
        }
        blows += 1;
        tokio::time::sleep(Duration::from_millis(20)).await; // so that they get somewhere
        assert!(blows < 10_000, "they get nowhere");
    }
    for (mut child, _) in holders {
        child.kill().await.unwrap();
        killed += 1;
    }
    for listener in listeners {
        soon(listener).await.unwrap();
    }
    children_are(&client, 0).await;
    let (data, _) = soon(client.get_data("/counter")).await.unwrap();
    let counted: usize = std::str::from_utf8(&data).unwrap().parse().unwrap();
    let (done, unknown) = (tally.done.load(Ordering::SeqCst), tally.unknown.load(Ordering::SeqCst));
    println!("{done} done, {unknown} unknown, {killed} killed, {blows} blows: {counted} counted");
    assert!(counted >= done, "{done} were done, and {counted} counted: an update is lost");
    // Of those who were killed each may have done one that it has not told of.
    assert!(counted <= done + unknown + killed, "{counted} counted, of {done}");
}
