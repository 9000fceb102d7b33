//! The commands.

use serde_json::json;
use znode::{Acl, Client, Quota, Stat};
use znode_examples::Error;

use crate::answer::Answer;
use crate::several::{create, list, quota, tell_of};
use crate::words::{Words, acl};

/// Each with how it is used.
pub(crate) const COMMANDS: [(&str, &str); 22] = [
    ("addauth", "scheme auth"),
    ("config", ""),
    ("create", "[-s] [-e] [-c] [-t milliseconds] path [data] [acl]"),
    ("delete", "[-v version] path"),
    ("deleteall", "path"),
    ("delquota", "path"),
    ("get", "[-s] [-w] path"),
    ("getAcl", "[-s] path"),
    ("getAllChildrenNumber", "path"),
    ("getEphemerals", "[path]"),
    ("help", ""),
    ("listquota", "path"),
    ("ls", "[-s] [-w] [-R] path"),
    ("quit", ""),
    ("set", "[-s] [-v version] path data"),
    ("setAcl", "[-s] [-v version] path acl"),
    ("setquota", "[-n nodes] [-b bytes] [-N nodes, hard] [-B bytes, hard] path"),
    ("stat", "[-w] path"),
    ("sync", "path"),
    ("version", ""),
    ("whoami", ""),
    ("zxid", ""),
];

/// Does what a line says.
pub(crate) async fn execute(client: &Client, line: &str) -> Result<Answer, Error> {
    let words = Words::parse(line, &COMMANDS)?;
    let shown = |stat: Stat| words.has('s').then_some(stat);
    Ok(match words.command.as_str() {
        "" => Answer::done(),
        "addauth" => {
            let (scheme, auth) = (words.word(0)?, words.any(1).unwrap_or_default());
            client.add_auth(scheme, auth).await?;
            Answer::done()
        }
        "create" => create(client, &words).await?,
        "delete" => {
            client.delete(words.path()?, words.version()?).await?;
            Answer::done()
        }
        "deleteall" => {
            client.delete_all(words.path()?).await?;
            Answer::done()
        }
        "delquota" => {
            client.delete_quota(words.path()?).await?;
            Answer::done()
        }
        "help" => Answer::text(help(), "help"),
        "quit" | "close" => Answer::Quit,
        "set" => {
            let data = words.word(1)?;
            let stat = client.set_data(words.path()?, data, words.version()?).await?;
            Answer::done().with(shown(stat).as_ref())
        }
        "setAcl" => {
            let acl = acl(words.word(1)?)?;
            let stat = client.set_acl(words.path()?, &acl, words.version()?).await?;
            Answer::done().with(shown(stat).as_ref())
        }
        "setquota" => {
            let (count, bytes) = (words.number('n')?, words.number('b')?);
            let (count_hard, bytes_hard) = (words.number('N')?, words.number('B')?);
            let quota = Quota { count, bytes, count_hard, bytes_hard };
            client.set_quota(words.path()?, &quota).await?;
            Answer::done()
        }
        "sync" => {
            client.sync(words.path()?).await?;
            Answer::done()
        }
        "version" => Answer::text(env!("CARGO_PKG_VERSION"), "version"),
        _ => read(client, &words).await?,
    })
}

/// The commands that change nothing.
async fn read(client: &Client, words: &Words) -> Result<Answer, Error> {
    let shown = |stat: Stat| words.has('s').then_some(stat);
    Ok(match words.command.as_str() {
        "config" => {
            let (config, stat) = client.get_config().await?;
            Answer::text(String::from_utf8_lossy(&config), "config").with(shown(stat).as_ref())
        }
        "get" => {
            let (data, stat) = if words.has('w') {
                let (data, stat, watcher) = client.get_data_watched(words.path()?).await?;
                tell_of(watcher);
                (data, stat)
            } else {
                client.get_data(words.path()?).await?
            };
            Answer::text(String::from_utf8_lossy(&data), "data").with(shown(stat).as_ref())
        }
        "getAcl" => {
            let (acl, stat) = client.get_acl(words.path()?).await?;
            let told: Vec<String> = acl.iter().map(Acl::to_string).collect();
            let answer = Answer::Told(told.join("\n"), json!({ "acl": told }));
            answer.with(shown(stat).as_ref())
        }
        "getAllChildrenNumber" => {
            let count = client.get_all_children_number(words.path()?).await?;
            Answer::Told(count.to_string(), json!({ "count": count }))
        }
        "getEphemerals" => {
            let below = words.any(0).unwrap_or("/");
            Answer::names(client.get_ephemerals(below).await?)
        }
        "listquota" => quota(client, words.path()?).await?,
        "ls" => list(client, words).await?,
        "stat" => {
            let path = words.path()?;
            let (stat, watcher) = client.exists_watched(path).await?;
            let stat = stat.ok_or_else(|| format!("{path}: there is no node"))?;
            if words.has('w') {
                tell_of(watcher);
            }
            Answer::done().with(Some(&stat))
        }
        "whoami" => {
            let who = client.who_am_i().await?;
            Answer::names(who.iter().map(|who| format!("{}:{}", who.scheme, who.user)).collect())
        }
        "zxid" => Answer::text(format!("{:#x}", client.last_zxid().0), "zxid"),
        unknown => return Err(format!("{unknown} is no command; these are:\n{}", help()).into()),
    })
}

fn help() -> String {
    COMMANDS.map(|(name, usage)| format!("  {name} {usage}").trim_end().to_owned()).join("\n")
}
