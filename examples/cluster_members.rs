//! Who is in a cluster, how far each has come, and commands to them: `cargo run --example
//! cluster_members`.
//!
//! Members report their progress in their own nodes, and take commands from a queue each. One has
//! its cable pulled out with work left to do: its node goes, and its work is given to another. Runs
//! on an embedded server, or on the ensemble at `ZNODE_CONNECT=host:port[,…][/chroot]`.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use tokio::task::JoinSet;
use znode::Client;
use znode_examples::{Cable, Ensemble, Error, Timeline};
use znode_recipes::{Group, GroupChanges, Queue, RecipeError};

const MEMBERS: [&str; 3] = ["host-1", "host-2", "host-3"];
const STEPS: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ensemble = Ensemble::from_env().await?;
    let timeline = Timeline::start();
    timeline.say("main", format!("{} members, {}", MEMBERS.len(), ensemble.describe()));
    let home = ensemble.home("cluster-members").await?;
    let client = ensemble.connect_at(&home, &Cable::default()).await?;
    let mut controller = Controller {
        changes: Group::new(&client, "/members").changes(),
        seen: BTreeMap::new(),
        client,
        timeline,
    };

    let mut members = JoinSet::new();
    let mut cables = Vec::new();
    for who in MEMBERS {
        let cable = Cable::default();
        let client = ensemble.connect_at(&home, &cable).await?;
        cables.push(cable);
        members.spawn(take_part(client, who, timeline));
    }
    controller.wait_until(|seen| seen.len() == MEMBERS.len()).await?;
    timeline.say("controller", "all are here");

    for who in MEMBERS {
        controller.command(who, &format!("work {STEPS}")).await?;
    }
    let all_done = format!("has done work {STEPS}");
    controller.wait_until(|seen| seen.values().all(|report| *report == all_done)).await?;
    timeline.say("controller", "all have done their work");

    cables[1].pull_out();
    timeline.say("main", "host-2 has its cable pulled out");
    controller.command("host-2", "work 5").await?;
    controller.wait_until(|seen| !seen.contains_key("host-2")).await?;
    let left = Queue::new(&controller.client, "/commands/host-2");
    while let Some(command) = left.try_take().await? {
        let text = String::from_utf8(command.data().to_vec())?;
        timeline.say("controller", format!("host-2 is gone, and host-3 does its {text}"));
        controller.command("host-3", &text).await?;
        command.ack().await?;
    }
    let instead =
        |seen: &BTreeMap<_, _>| seen.get("host-3").is_some_and(|it| it == "has done work 5");
    controller.wait_until(instead).await?;

    for who in ["host-1", "host-3"] {
        controller.command(who, "leave").await?;
    }
    controller.wait_until(BTreeMap::is_empty).await?;
    let mut done = 0;
    while let Some(took_part) = members.join_next().await {
        done += took_part??;
    }
    // What host-2 was to do at last, host-3 did.
    if done != MEMBERS.len() + 1 + 2 {
        return Err(format!("{done} commands were carried out").into());
    }
    timeline.say("main", format!("{done} commands, each carried out once; nobody is left"));
    Ok(())
}

/// Is in the group until it is told to leave, or cut off; says how many commands it has done.
async fn take_part(client: Client, who: &str, timeline: Timeline) -> Result<usize, Error> {
    let membership = Group::new(&client, "/members").join(who, "idle").await?;
    let commands = Queue::new(&client, format!("/commands/{who}"));
    let mut done = 0;
    loop {
        let command = match commands.take().await {
            Ok(command) => command,
            Err(error) if error.is_session_over() => {
                timeline.say(who, "is cut off, and stops");
                return Ok(done);
            }
            Err(error) => return Err(error.into()),
        };
        let text = String::from_utf8(command.data().to_vec())?;
        done += 1;
        let Some(("work", steps)) = text.split_once(' ') else {
            command.ack().await?;
            timeline.say(who, "leaves");
            membership.leave().await?;
            return Ok(done);
        };
        let steps: usize = steps.parse()?;
        for step in 1..=steps {
            membership.set(format!("{step} of {steps}")).await?;
        }
        command.ack().await?;
        timeline.say(who, format!("has done {text}"));
        // Not before: whoever reads this may rely on it.
        membership.set(format!("has done {text}")).await?;
    }
}

/// Sees who is there, and tells them what to do.
struct Controller {
    client: Client,
    changes: GroupChanges,
    /// What each member has reported last.
    seen: BTreeMap<String, String>,
    timeline: Timeline,
}

impl Controller {
    async fn command(&self, who: &str, what: &str) -> Result<(), RecipeError> {
        self.timeline.say("controller", format!("to {who}: {what}"));
        Queue::new(&self.client, format!("/commands/{who}")).put(what).await
    }

    /// Tells of every report, until the group is as it should be.
    async fn wait_until(
        &mut self,
        is_it: impl Fn(&BTreeMap<String, String>) -> bool,
    ) -> Result<(), Error> {
        while !is_it(&self.seen) {
            let members = self.changes.try_next().await?.ok_or("the group is not seen any more")?;
            let text = |data: Vec<u8>| String::from_utf8_lossy(&data).into_owned();
            self.seen = members.into_iter().map(|(id, data)| (id, text(data))).collect();
            let told: Vec<_> = self.seen.iter().map(|(id, it)| format!("{id} {it}")).collect();
            self.timeline.say("controller", format!("sees [{}]", told.join(", ")));
        }
        Ok(())
    }
}
