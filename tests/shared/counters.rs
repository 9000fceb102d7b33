//! Numbers that ours, Curator's and kazoo's count with: no sum is reached twice, none left out.

use futures::StreamExt;
use futures::future::join_all;
use znode_recipes::{Counter, Layout, Number};
use znode_tests::support::{reach, soon};

use crate::Site;
use crate::worker::{Others, Worker};

/// How often each adds one.
const TIMES: usize = 150;

/// All add at once: two handles of ours, and the others. Returns the sum.
async fn add_up<N: Number + Into<i64>>(
    site: &Site,
    counter: impl Fn(&znode::Client) -> Counter<N>,
    workers: &mut [Worker],
) -> N {
    for worker in &mut *workers {
        worker.tell(&format!("add {TIMES}")).await;
    }
    let ours = [counter(&site.connect().await), counter(&site.connect().await)];
    let one = N::ZERO.successor().expect("there are more");
    let adding = ours.iter().map(|counter| async move {
        let mut sums: Vec<i64> = Vec::new();
        for _ in 0..TIMES {
            sums.push(soon(counter.add(one)).await.unwrap().into());
        }
        sums
    });
    let mut sums = join_all(adding).await.concat();
    for worker in &mut *workers {
        let said = worker.answer().await;
        sums.extend(said.iter().map(|said| {
            let sum = said.strip_prefix("sum ").expect("it says nothing else");
            sum.parse::<i64>().unwrap()
        }));
    }
    sums.sort_unstable();
    let all = i64::try_from(TIMES * (workers.len() + 2)).unwrap();
    assert_eq!(sums, (1..=all).collect::<Vec<_>>());
    let sum = soon(ours[0].get()).await.unwrap();
    assert_eq!(sum.into(), all);
    sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_a_long_of_curators_and_ours_is_the_same_number() {
    let Some(mut site) = Site::open().await else { return };
    while let Some(path) = site.next_path() {
        let mut workers = [
            site.worker(Others::Curator, "long", &path).await,
            site.worker(Others::Curator, "long", &path).await,
        ];
        add_up(&site, |client| Counter::<i64>::new(client, &path), &mut workers).await;
    }
}

/// Kazoo's counts there, too, if it is asked to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_an_integer_and_a_shared_count_of_curators_and_ours_are_the_same_number() {
    let Some(mut site) = Site::open().await else { return };
    while let Some(path) = site.next_path() {
        let mut workers = [
            // First, since it cannot read the empty node that kazoo's begins with.
            site.worker(Others::Curator, "shared-count", &path).await,
            site.worker(Others::Curator, "integer", &path).await,
            site.worker(Others::Kazoo, "integer", &path).await,
        ];
        let sum = add_up(&site, |client| Counter::<i32>::new(client, &path), &mut workers).await;
        // What the one does the other is told of.
        let [shared, ..] = &mut workers;
        let counter = Counter::<i32>::new(&site.connect().await, &path);
        let mut values = counter.values().map(Result::unwrap);
        reach(&mut values, sum).await;
        assert_eq!(shared.does(&format!("await {sum}")).await, [""; 0]);
        assert_eq!(soon(counter.add(1)).await.unwrap(), sum + 1);
        assert_eq!(shared.does(&format!("await {}", sum + 1)).await, [""; 0]);
        assert_eq!(shared.does("add 1").await, [format!("sum {}", sum + 2)]);
        reach(&mut values, sum + 2).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_a_counter_of_kazoos_and_ours_is_the_same_number() {
    let Some(mut site) = Site::open().await else { return };
    while let Some(path) = site.next_path() {
        let mut workers = [
            site.worker(Others::Kazoo, "counter", &path).await,
            site.worker(Others::Kazoo, "counter", &path).await,
        ];
        let ours = |client: &_| Counter::<i64>::new(client, &path).with_layout(Layout::Kazoo);
        add_up(&site, ours, &mut workers).await;
    }
}
