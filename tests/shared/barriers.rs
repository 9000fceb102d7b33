//! Barriers at which ours, Curator's and kazoo's wait: nobody passes before all may.

use futures::future::join_all;
use tokio::task::JoinHandle;
use znode::{Client, ErrorKind};
use znode_recipes::{Barrier, DoubleBarrier, Inside};
use znode_tests::support::soon;

use crate::Site;
use crate::worker::{Others, Worker};

/// How many rounds there are with the same processes.
const ROUNDS: usize = 8;

/// Who comes to a gate.
enum Comer {
    Ours(Barrier),
    Theirs(Box<Worker>),
}

impl Comer {
    async fn close(&mut self) {
        match self {
            Self::Ours(barrier) => soon(barrier.close()).await.unwrap(),
            Self::Theirs(worker) => assert_eq!(worker.does("close").await, [""; 0]),
        }
    }

    async fn open(&mut self) {
        match self {
            Self::Ours(barrier) => soon(barrier.open()).await.unwrap(),
            Self::Theirs(worker) => assert_eq!(worker.does("open").await, [""; 0]),
        }
    }

    /// Begins to wait; whoever is ours says by a task whether the gate is closed then.
    async fn wait(&mut self) -> Option<JoinHandle<bool>> {
        match self {
            Self::Ours(barrier) => {
                let barrier = barrier.clone();
                Some(tokio::spawn(async move {
                    barrier.wait().await.unwrap();
                    barrier.is_closed().await.unwrap()
                }))
            }
            Self::Theirs(worker) => {
                worker.tell("wait").await;
                None
            }
        }
    }

    async fn passes(&mut self, waiting: Option<JoinHandle<bool>>) {
        match (self, waiting) {
            (Self::Theirs(worker), None) => assert_eq!(worker.answer().await, ["closed false"]),
            (_, Some(waiting)) => assert!(!soon(waiting).await.unwrap()),
            (Self::Ours(_), None) => panic!("ours wait by tasks"),
        }
    }
}

/// Waits until so many watch a node.
async fn until_watched(site: &Site, client: &Client, path: &str, by: usize) {
    while site.server.watches().await.iter().filter(|watch| watch.path == path).count() < by {
        soon(client.sync("/")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_a_barrier_of_curators_kazoos_and_ours_is_one_gate() {
    let Some(mut site) = Site::open().await else { return };
    while let Some(path) = site.next_path() {
        let client = site.connect().await;
        let mut comers = [
            Comer::Ours(Barrier::new(&client, &path)),
            Comer::Theirs(Box::new(site.worker(Others::Curator, "barrier", &path).await)),
            Comer::Theirs(Box::new(site.worker(Others::Kazoo, "barrier", &path).await)),
        ];
        let count = comers.len();
        for round in 0..count * count {
            comers[round % count].close().await;
            // Whoever opens it has his hands free.
            let opener = round / count;
            let mut waiting = Vec::new();
            for (i, comer) in comers.iter_mut().enumerate().filter(|(i, _)| *i != opener) {
                waiting.push((i, comer.wait().await));
            }
            until_watched(&site, &client, &path, waiting.len()).await;
            comers[opener].open().await;
            for (i, waiting) in waiting {
                comers[i].passes(waiting).await;
            }
        }
    }
}

/// Who comes to a double barrier.
enum Member {
    Ours(Client, Option<JoinHandle<Inside>>),
    Theirs(Box<Worker>),
}

/// One that leaves.
type Leaving = JoinHandle<()>;

impl Member {
    async fn enter(&mut self, path: &str, round: usize, members: usize) {
        match self {
            Self::Ours(client, entering) => {
                let count = u32::try_from(members).unwrap();
                let path = format!("{path}/{round}");
                let barrier = DoubleBarrier::new(client, path, count).unwrap();
                *entering = Some(tokio::spawn(async move { barrier.enter().await.unwrap() }));
            }
            Self::Theirs(worker) => worker.tell(&format!("enter {round} {members}")).await,
        }
    }

    /// Once it is inside, so many are there.
    async fn sees(&mut self, path: &str, members: usize) -> Option<Inside> {
        match self {
            Self::Ours(client, entering) => {
                let inside = soon(entering.take().expect("it enters")).await.unwrap();
                assert_eq!(present(client, path).await, members);
                Some(inside)
            }
            Self::Theirs(worker) => {
                assert_eq!(worker.answer().await, [format!("present {members}")]);
                None
            }
        }
    }

    /// Begins to leave; nobody is there any more when it has.
    async fn leave(&mut self, path: &str, inside: Option<Inside>) -> Option<Leaving> {
        match (self, inside) {
            (Self::Ours(client, _), Some(inside)) => {
                let (client, path) = (client.clone(), path.to_owned());
                Some(tokio::spawn(async move {
                    inside.leave().await.unwrap();
                    assert_eq!(present(&client, &path).await, 0);
                }))
            }
            (Self::Theirs(worker), None) => {
                worker.tell("leave").await;
                None
            }
            _ => panic!("ours, and nobody else, has something to leave by"),
        }
    }

    async fn is_out(&mut self, leaving: Option<Leaving>) {
        match self {
            Self::Ours(..) => soon(leaving.expect("it leaves")).await.unwrap(),
            Self::Theirs(worker) => assert_eq!(worker.answer().await, ["present 0"]),
        }
    }
}

/// How many members a server knows.
async fn present(client: &Client, path: &str) -> usize {
    match soon(client.get_children(path)).await {
        Ok(children) => children.iter().filter(|name| *name != "ready").count(),
        Err(error) if error.kind() == ErrorKind::NoNode => 0,
        Err(error) => panic!("{error}"),
    }
}

/// In each round others come last and go last, and nobody leaves before all are in: kazoo's and
/// Curator's that have not looked by then may never come in. The rounds are at paths of their own:
/// at the same Curator's pass by what the round before has not taken away yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_members_of_curators_kazoos_and_ours_enter_and_leave_together() {
    let Some(mut site) = Site::open().await else { return };
    while let Some(path) = site.next_path() {
        let client = site.connect().await;
        site.make(&path).await;
        let kazoo = site.worker(Others::Kazoo, "double-barrier", &path).await;
        let curator = site.worker(Others::Curator, "double-barrier", &path).await;
        let mut members = [
            Member::Ours(site.connect().await, None),
            Member::Theirs(Box::new(kazoo)),
            Member::Ours(site.connect().await, None),
            Member::Theirs(Box::new(curator)),
        ];
        let count = members.len();
        for round in 0..ROUNDS {
            let at = format!("{path}/{round}");
            members.rotate_left(1);
            let (last, others) = members.split_last_mut().expect("there are some");
            for member in &mut *others {
                member.enter(&path, round, count).await;
            }
            while present(&client, &at).await < others.len() {}
            last.enter(&path, round, count).await;
            let seen = members.iter_mut().map(|member| member.sees(&at, count));
            let mut inside = join_all(seen).await;

            members.rotate_left(round / count);
            inside.rotate_left(round / count);
            let mut leaving = Vec::new();
            for (i, (member, inside)) in members.iter_mut().zip(inside).enumerate() {
                if i + 1 == count {
                    // The lowest may wait for this one with its node.
                    while present(&client, &at).await > 2 {}
                }
                leaving.push(member.leave(&at, inside).await);
            }
            for (member, leaving) in members.iter_mut().zip(leaving) {
                member.is_out(leaving).await;
            }
        }
    }
}
