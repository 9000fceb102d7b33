//! Parts that are divided among members: each is had by one at a time, and by somebody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex as Std};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use znode::proto::OpCode;
use znode::{Acl, Client, CreateMode, ErrorKind, Zxid};
use znode_recipes::{
    Division, LockOptions, LostReason, Part, Partitioner, RecipeError, RecipeErrorKind, Share,
    ShareState, ShareStates,
};

use crate::ground::{CUTS, Ground, Wire, delete, dropped_at_every_await, is_pending, soon};

const TABLES: &str = "/tables";
const PARTY: &str = "/tables/party";
const PARTS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn tables(client: &Client) -> Partitioner {
    Partitioner::new(client, TABLES, PARTS).unwrap().with_settling(Duration::ZERO)
}

async fn join(client: &Client, id: &str) -> Share {
    soon(tables(client).join(id)).await.unwrap()
}

async fn next(share: &mut Share) -> Part {
    soon(share.next()).await.expect("it goes on").unwrap()
}

/// Reads so many parts.
async fn take(share: &mut Share, count: usize) -> BTreeMap<String, Part> {
    let mut parts = BTreeMap::new();
    while parts.len() < count {
        let part = next(share).await;
        assert!(parts.insert(part.name().to_owned(), part).is_none(), "it is had already");
    }
    parts
}

/// Waits until a share stands so.
async fn until(states: &mut ShareStates, stands: impl Fn(&ShareState) -> bool) -> ShareState {
    loop {
        let state = soon(states.next()).await.expect("it goes on");
        if stands(&state) {
            return state;
        }
    }
}

fn names<'a>(of: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    of.into_iter().map(str::to_owned).collect()
}

/// Waits until nobody is there, nobody contends for any part, and nobody watches anything.
async fn nothing_is_left(ground: &Ground, client: &Client) {
    let children = async |path: &str| match client.get_children(path).await {
        Err(error) if error.kind() == ErrorKind::NoNode => Vec::new(),
        children => children.unwrap(),
    };
    soon(async {
        loop {
            client.sync("/").await.unwrap();
            let mut left = children(PARTY).await;
            for part in PARTS {
                left.extend(children(&format!("{TABLES}/locks/{part}")).await);
            }
            if left.is_empty() && ground.watched().await.is_empty() {
                return;
            }
        }
    })
    .await;
}

/// Who has each part, and its last token.
type Uses = BTreeMap<String, (Option<usize>, Zxid)>;

#[derive(Clone, Default)]
struct Table {
    uses: Arc<Std<Uses>>,
    /// Whose session is ended before its time: others may have a part before it knows.
    mortal: Option<usize>,
}

impl Table {
    fn begin(&self, who: usize, part: &Part) {
        let mut uses = self.uses.lock().unwrap();
        let (by, newest) = uses.entry(part.name().to_owned()).or_default();
        let is_free = by.is_none() || *by == self.mortal;
        assert!(is_free, "{who} has met {by:?} at {}", part.name());
        assert!(part.token() > *newest, "a token goes back");
        (*by, *newest) = (Some(who), part.token());
    }

    fn end(&self, who: usize, part: &Part) {
        let mut uses = self.uses.lock().unwrap();
        let (by, _) = uses.get_mut(part.name()).expect("it was begun");
        assert!(*by == Some(who) || Some(who) == self.mortal);
        if *by == Some(who) {
            *by = None;
        }
    }
}

/// One at work at what is its own.
struct Worker {
    /// It drops its share when this is dropped.
    stop: oneshot::Sender<()>,
    task: JoinHandle<Option<RecipeError>>,
}

impl Worker {
    /// Waits until its share is over and it has let go of all parts; says how the share ended.
    async fn ended(self) -> Option<RecipeError> {
        soon(self.task).await.unwrap()
    }

    async fn stop(self) {
        drop(self.stop);
        assert!(soon(self.task).await.unwrap().is_none());
    }
}

fn work(mut share: Share, who: usize, table: &Table) -> Worker {
    let (stop, mut stopped) = oneshot::channel();
    let table = table.clone();
    let task = tokio::spawn(async move {
        let mut at_work = JoinSet::new();
        let ended = loop {
            let part = tokio::select! {
                biased;
                _ = &mut stopped => break None,
                // What fails there fails here.
                Some(done) = at_work.join_next() => {
                    done.unwrap();
                    continue;
                }
                part = share.next() => part,
            };
            match part {
                Some(Ok(part)) => {
                    table.begin(who, &part);
                    let table = table.clone();
                    at_work.spawn(async move {
                        let worked = part.run(std::future::pending::<()>()).await;
                        table.end(who, &part);
                        assert!(worked.is_err() || part.is_recalled());
                        drop(part);
                    });
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        drop(share);
        while let Some(done) = at_work.join_next().await {
            done.unwrap();
        }
        ended
    });
    Worker { stop, task }
}

#[tokio::test]
async fn kazoo_259_283_each_part_is_had_by_one_of_those_who_come_and_go() {
    let ground = Ground::start().await;
    for division in [Division::RoundRobin, Division::Stable] {
        let table = Table { mortal: Some(1), ..Table::default() };
        let mut members = Vec::new();
        for who in 0..4 {
            let (client, wire) = ground.connect_wired().await;
            let tables = tables(&client).with_division(division);
            let share = soon(tables.join(&format!("host-{who}"))).await.unwrap();
            let states = share.states();
            members.push((client, wire, states, work(share, who, &table)));
            all_is_had(&mut members, who + 1).await;
        }
        // One loses its session, and one drops its share.
        let (client, wire, _, worker) = members.remove(1);
        ground.end_session(&client, &wire).await;
        assert!(worker.ended().await.unwrap().is_session_over());
        all_is_had(&mut members, 3).await;
        let (.., worker) = members.remove(0);
        worker.stop().await;
        all_is_had(&mut members, 2).await;
        for (.., worker) in members {
            worker.stop().await;
        }
        assert!(table.uses.lock().unwrap().values().all(|(by, _)| by.is_none()));
        nothing_is_left(&ground, &ground.connect().await).await;
    }
}

async fn all_is_had<T>(members: &mut [(Client, Wire, ShareStates, T)], count: usize) {
    let settled = members.iter_mut().map(|(_, _, states, _)| {
        until(states, |state| state.members.len() == count && state.is_settled())
    });
    let states = join_all(settled).await;
    let held: Vec<&str> = states.iter().flat_map(|state| &state.held).map(|s| &**s).collect();
    assert_eq!(held.len(), PARTS.len());
    assert_eq!(names(held), names(PARTS));
    assert!(states.iter().all(|state| state.held.len().abs_diff(PARTS.len() / count) <= 1));
}

#[tokio::test]
async fn what_is_recalled_is_had_by_nobody_else_before_it_is_let_go_of() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let mut first = join(&client, "1").await;
    let mut had = take(&mut first, 5).await;
    assert!(had.values().all(|part| !part.is_recalled()));
    let mut second = join(&other, "2").await;
    // What is not due any more is known once the first has seen the second.
    soon(had["b"].recalled()).await;
    soon(had["d"].recalled()).await;
    let state = first.state();
    assert_eq!(state.recalled().collect::<Vec<_>>(), ["b", "d"]);
    assert_eq!((state.due, first.held()), (names(["a", "c", "e"]), names(PARTS)));
    assert_eq!(state.members, ["1", "2"]);
    for kept in ["a", "c", "e"] {
        assert!(is_pending(&mut Box::pin(had[kept].recalled())), "{kept} is due");
    }
    for _ in 0..3 {
        soon(other.sync("/")).await.unwrap();
    }
    assert!(is_pending(&mut second.next()), "nobody has let go of anything");
    for (name, is_released) in [("b", true), ("d", false)] {
        let part = had.remove(name).unwrap();
        let token = part.token();
        match is_released {
            true => soon(part.release()).await.unwrap(),
            false => drop(part),
        }
        let part = next(&mut second).await;
        assert_eq!(part.name(), name);
        assert!(part.token() > token);
        assert_eq!(part.guard().lock_path(), format!("{TABLES}/locks/{name}"));
        had.insert(format!("{name} of the second"), part);
    }
    assert!(second.state().is_settled() && first.state().is_settled());
    // Who leaves lets go when it will, too.
    soon(first.leave()).await.unwrap();
    for kept in ["a", "c", "e"] {
        soon(had[kept].recalled()).await;
    }
    until(&mut second.states(), |state| state.due.len() == 5).await;
    for _ in 0..3 {
        soon(other.sync("/")).await.unwrap();
    }
    assert!(is_pending(&mut second.next()), "nobody has let go of anything");
    drop((had.remove("a"), had.remove("c"), had.remove("e")));
    had.extend(take(&mut second, 3).await);
    drop((had, second));
    nothing_is_left(&ground, &client).await;
}

#[tokio::test]
async fn what_was_not_read_is_let_go_of_by_itself() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let mut first = join(&client, "1").await;
    until(&mut first.states(), |state| state.held.len() == 5).await;
    let mut second = join(&other, "2").await;
    let had = take(&mut second, 2).await;
    // What is left of it can be had all the same.
    let left = take(&mut first, 3).await;
    assert_eq!(names(left.keys().map(|name| &**name)), names(["a", "c", "e"]));
    drop(first);
    drop(left);
    let more = take(&mut second, 3).await;
    drop((had, more, second));
    nothing_is_left(&ground, &client).await;
}

#[tokio::test]
async fn the_end_of_a_session_is_told_and_takes_its_parts_along() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let mut first = join(&client, "1").await;
    let had = take(&mut first, 5).await;
    let mut states = first.states();
    ground.end_session(&client, &wire).await;
    for part in had.values() {
        assert!(soon(part.guard().lost()).await.is_session_over());
        assert!(soon(part.run(std::future::pending::<()>())).await.is_err());
        soon(part.recalled()).await;
    }
    assert_eq!(first.held(), names([]));
    assert!(soon(first.next()).await.unwrap().unwrap_err().is_session_over());
    assert!(soon(first.next()).await.is_none());
    let mut last = None;
    while let Some(state) = soon(states.next()).await {
        last = Some(state);
    }
    assert_eq!(last.unwrap().due, names([]));
    assert!(soon(first.leave()).await.unwrap_err().is_session_over());
    let mut second = join(&other, "2").await;
    for (name, part) in take(&mut second, 5).await {
        assert!(part.token() > had[&name].token());
    }
}

#[tokio::test]
async fn what_somebody_deletes_is_lost_and_comes_again() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let mut share = join(&client, "1").await;
    let mut had = take(&mut share, 5).await;
    let lost = had.remove("c").unwrap();
    let losing = lost.guard().lost();
    delete(&other, lost.guard().path()).await.unwrap();
    assert_eq!(soon(losing).await, LostReason::Deleted);
    assert_eq!(share.held(), names(["a", "b", "d", "e"]));
    // Whoever works at it may do so still: it is not had twice.
    assert!(is_pending(&mut share.next()));
    let token = lost.token();
    drop(lost);
    let again = next(&mut share).await;
    assert_eq!((again.name(), again.token() > token), ("c", true));
    // Our own node comes back, and nothing is recalled.
    let [ours] = &soon(other.get_children(PARTY)).await.unwrap()[..] else { panic!("one is here") };
    let path = format!("{PARTY}/{ours}");
    let czxid = soon(other.exists(&path)).await.unwrap().unwrap().czxid;
    delete(&other, &path).await.unwrap();
    soon(async {
        while other.exists(&path).await.unwrap().is_none_or(|stat| stat.czxid == czxid) {}
    })
    .await;
    for _ in 0..3 {
        soon(client.sync("/")).await.unwrap();
    }
    assert!(had.values().all(|part| !part.is_recalled()));
    assert_eq!(share.held(), names(PARTS));
}

#[tokio::test]
async fn members_and_locks_stand_there_as_kazoo_makes_them() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mut share = join(&client, "host-1").await;
    let part = next(&mut share).await;
    let of = |name: &str| -> String {
        let path = format!("{TABLES}/locks/{name}/");
        part.guard().path().strip_prefix(&path).expect("it is there").to_owned()
    };
    let (hex, digits) = of(part.name()).split_once("__lock__").map(own).expect("the marker");
    assert!(hex.len() == 32 && hex.chars().all(|c| c.is_ascii_hexdigit()), "{hex}");
    assert_eq!(digits, "0000000000");
    let (data, _) = soon(client.get_data(part.guard().path())).await.unwrap();
    assert_eq!(&data[..], b"host-1");
    let [member] = &soon(client.get_children(PARTY)).await.unwrap()[..] else {
        panic!("one is in")
    };
    let (hex, id) = member.split_once('-').expect("as a ShallowParty's");
    assert!(hex.len() == 32 && hex.chars().all(|c| c.is_ascii_hexdigit()), "{hex}");
    assert_eq!(id, "host-1");
    let (data, stat) = soon(client.get_data(&format!("{PARTY}/{member}"))).await.unwrap();
    assert_eq!((&data[..], stat.ephemeral_owner), (&b"host-1"[..], client.session_id()));
    for parent in [TABLES, PARTY, "/tables/locks"] {
        assert_ne!(ground.is_container(parent).await, Some(true), "{parent}");
    }
    assert_eq!((share.id(), share.path()), ("host-1", TABLES));
}

fn own((one, other): (&str, &str)) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

/// Of kazoo's who are called alike all seek the same.
#[tokio::test]
async fn members_who_are_called_alike_have_shares_of_their_own() {
    let ground = Ground::start().await;
    let (one, other) = (ground.connect().await, ground.connect().await);
    let (first, second) = (join(&one, "x").await, join(&other, "x").await);
    let settled = |state: &ShareState| state.members == ["x", "x"] && state.is_settled();
    let (mut of_first, mut of_second) = (first.states(), second.states());
    let held = until(&mut of_first, settled).await.held;
    assert!(held.is_disjoint(&until(&mut of_second, settled).await.held));
    assert_eq!(held.len() + second.held().len(), 5);
}

#[tokio::test]
async fn what_cannot_be_divided_is_refused_by_the_call_that_asks_for_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let kind = |parts: &[&str]| {
        let refused = Partitioner::new(&client, TABLES, parts.iter().copied()).unwrap_err();
        assert_eq!(refused.path(), TABLES);
        refused.kind()
    };
    for parts in [&[][..], &["a", "b", "a"], &[""], &["a/b"], &[".."], &["a\0"]] {
        assert_eq!(kind(parts), RecipeErrorKind::InvalidArgument, "{parts:?}");
    }
    let error = Partitioner::new(&client, "tables", PARTS).unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::InvalidPath);
    for id in ["a/b", "\0"] {
        let error = soon(tables(&client).join(id)).await.unwrap_err();
        assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument, "{id:?}");
    }
    assert!(soon(client.exists(TABLES)).await.unwrap().is_none(), "nothing was sent");
}

#[tokio::test]
async fn refusals_and_strangers_are_errors_and_end_the_share() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let sealed = client.with_default_acl(vec![Acl::read_only()]);
    soon(sealed.create(TABLES, "", CreateMode::Persistent)).await.unwrap();
    let error = soon(tables(&client).join("1")).await.unwrap_err();
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::NoAuth);
    delete(&client, TABLES).await.unwrap();

    // Somebody's readers and writers stand where a part's lock should be.
    let stranger = "/tables/locks/c/_c_6c0ae3f5-0f4c-4bd3-a3d2-7e0c2bf9d5c1-__READ__";
    soon(client.ensure_path("/tables/locks/c", znode::Parents::Persistent)).await.unwrap();
    soon(client.create(stranger, "", CreateMode::PersistentSequential)).await.unwrap();
    let mut share = join(&client, "1").await;
    let mut had = Vec::new();
    let error = loop {
        match soon(share.next()).await.expect("it says why it ends") {
            Ok(part) => had.push(part),
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), error.path()), (RecipeErrorKind::Foreign, "/tables/locks/c"));
    for part in &had {
        soon(part.recalled()).await;
    }
    assert!(soon(share.next()).await.is_none());
    // Its node goes as the share ends, whoever leaves.
    soon(async {
        while !client.get_children(PARTY).await.unwrap().is_empty() {
            client.sync("/").await.unwrap();
        }
    })
    .await;
    assert_eq!(soon(share.leave()).await.unwrap_err().kind(), RecipeErrorKind::Foreign);
    assert_eq!(soon(client.get_children("/tables/locks/c")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn guards_of_parts_promise_what_was_asked_for() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let strict = tables(&client).with_options(LockOptions::new().strict());
    let mut share = soon(strict.join("1")).await.unwrap();
    let part = next(&mut share).await;
    assert!(part.guard().deadline().is_some());
    let write = part.guard().client().create("/by-its-holder", "", CreateMode::Persistent);
    soon(write).await.unwrap();
    assert_eq!(soon(part.run(async { 42 })).await.unwrap(), Some(42));
}

#[tokio::test]
async fn a_share_can_be_dropped_at_every_await_while_any_reply_is_lost() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let all = async |client: &Client| {
        let mut share = tables(client).join("1").await?;
        let first = share.next().await.expect("it goes on")?;
        let second = share.next().await.expect("it goes on")?;
        first.release().await.unwrap();
        share.leave().await?;
        second.release().await.unwrap();
        Ok::<_, RecipeError>(())
    };
    let cuts = [OpCode::Create2, OpCode::GetChildren, OpCode::Exists, OpCode::Delete];
    let cuts = cuts.into_iter().flat_map(|op| CUTS.map(|cut| Some((cut, op))));
    for cut in std::iter::once(None).chain(cuts) {
        let clean = async || nothing_is_left(&ground, &other).await;
        let dropped = dropped_at_every_await(&ground, cut, all, clean).await;
        assert!(dropped > 4, "nothing was dropped");
    }
}
