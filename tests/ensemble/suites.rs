//! Suites of others, while the leader of the ensemble that they talk to is killed again and again.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::interval;

use crate::ground::{Ensemble, Kind, UNSYNCED, turn, until};
use crate::judge::agree;
use crate::load::{Load, ROOT};
use crate::words;

/// How long there is peace.
const PEACE: Duration = Duration::from_secs(3);

/// Marks the beginning of a blow, or its end, for whoever wants to know whether one has fallen.
fn mark(blows: &Path) {
    let mut file = OpenOptions::new().append(true).create(true).open(blows).unwrap();
    file.write_all(b".").unwrap();
}

async fn blow(ensemble: &mut Ensemble, load: &mut Load, blows: &Path) {
    let leader = ensemble.leader().await;
    mark(blows);
    ensemble.member(leader).kill();
    ensemble.leader_but(Some(leader)).await;
    ensemble.member(leader).start();
    ensemble.all_serve().await;
    load.goes_on(10).await;
    mark(blows);
}

/// Awaits the end of what the suite leaves behind: the sessions of programs that end without
/// closing them live for their timeout yet, and longer by that of an election that falls into it.
async fn the_abandoned_end(ensemble: &mut Ensemble) {
    let leader = ensemble.leader().await;
    let address = &ensemble.members[leader - 1].address;
    until(async || {
        let told = words::ask(address, "dump").await?;
        let (_, told) = told.split_once("Sessions with Ephemerals")?;
        // Under each session its paths, after all of them something else.
        let owned = told.lines().skip(1).take_while(|line| line.starts_with(['0', '\t']));
        let mut paths = owned.filter_map(|line| line.strip_prefix('\t')).peekable();
        // The load has some as long as it runs.
        paths.peek()?;
        paths.all(|path| path.starts_with(ROOT)).then_some(())
    })
    .await;
}

/// Runs the shell command of `ZNODE_TEST_SUITE`, which finds the ensemble in `$CONNECT` and the
/// blows in `$BLOWS`. Meanwhile others write, whose sessions survive, and whose ephemeral nodes
/// neither vanish early nor linger.
#[tokio::test]
async fn a_suite_holds_while_one_leader_after_the_other_is_killed() {
    let Ok(suite) = std::env::var("ZNODE_TEST_SUITE") else { return };
    let _turn = turn().await;
    let mut ensemble = Ensemble::start(&[Kind::Ours; 3], 0, &[UNSYNCED]).await;
    let mut load = Load::start(ensemble.connect_string(), 2).await;
    let blows = ensemble.file("blows");
    std::fs::write(&blows, "").unwrap();
    let mut command = Command::new("sh");
    command.args(["-euc", &suite]).env("CONNECT", ensemble.connect_string()).env("BLOWS", &blows);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    let mut running = command.stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut peace = interval(PEACE);
    peace.tick().await;
    let mut count = 0;
    let ended = loop {
        tokio::select! {
            ended = running.wait() => break ended.unwrap(),
            _ = peace.tick() => {}
        }
        blow(&mut ensemble, &mut load, &blows).await;
        load.leave_something().await;
        peace.reset();
        count += 1;
    };
    println!("{count} leaders were killed");
    assert!(ended.success(), "{ended}");
    assert!(count > 0, "the suite was over before anything happened");
    the_abandoned_end(&mut ensemble).await;
    agree(&mut ensemble, load).await;
}
