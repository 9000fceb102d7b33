//! Settings as those have them who publish them.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use tokio::sync::Mutex;
use znode::{Client, CreateMode, ErrorKind, Op, Parents, Version};

use super::book::{Book, PERCENT_MAX};
use super::eye::{Eye, sees};
use super::format::encode_book;
use super::settings::{Settings, Tree, checked};
use super::store::Store;
use super::subscription::{Release, Subscription};
use crate::recipe_error::RecipeError;
use crate::witness::{Committed, Witnesses};

/// How many versions are kept, unless it is said otherwise.
const KEPT: usize = 10;

/// Settings that some publish and many follow: each version is a tree of nodes that never changes,
/// and one node, the book, says which of them is in force, and for whom.
///
/// A version is for everybody at once, or is [staged](Self::stage): for as many of a hundred as it
/// is said, chosen by their names, who keep it when there are more of them; until it is
/// [promoted](Self::promote) or [taken back](Self::roll_back). What is taken back to is given a
/// number of its own, so the versions that somebody sees only ever rise.
///
/// Every change is one transaction, made once whatever replies are lost, over what whoever makes it
/// has seen: of two who change the same at a time, one is told so. Those through one handle, or a
/// clone of it, wait for each other; while there is one that has changed something, a witness of
/// its session stands below the book.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::Configuration;
///
/// let motd = Configuration::<String>::new(&client, "/config/motd").with_history(5);
/// let first = motd.publish(None, &"open from 9".to_owned()).await?;
/// let second = motd.stage(Some(first), &"open from 8".to_owned(), 10).await?;
/// motd.roll_out(second, 50).await?;
/// motd.promote(second).await?;
/// let third = motd.roll_back(second, first).await?; // as the first was
/// println!("version {third} of {}", motd.path());
/// # Ok(())
/// # }
/// ```
pub struct Configuration<T> {
    store: Store,
    kept: usize,
    shared: Arc<Shared>,
    settings: PhantomData<fn() -> T>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Made with the first change.
    witnesses: OnceLock<Witnesses>,
    /// Changes through one handle, or a clone of it, wait for each other.
    turn: Mutex<()>,
}

/// Which versions of a [`Configuration`] there are; see [`Configuration::rollout`].
///
/// ```
/// fn told(rollout: &znode_recipes::Rollout) -> String {
///     let (stable, kept) = (rollout.stable(), rollout.versions().len());
///     match rollout.staged() {
///         Some((version, percent)) => format!("{stable:?}; {version} for {percent} %"),
///         None => format!("{stable:?}, and {kept} are kept"),
///     }
/// }
/// # let _ = told;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    book: Book,
    versions: Vec<u64>,
}

impl<T: Settings> Configuration<T> {
    /// The settings at `path`, which need not exist. Whether that can be a path is checked when it
    /// is first asked of.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        let store = Store::new(client, path.into());
        Self { store, kept: KEPT, shared: Arc::default(), settings: PhantomData }
    }

    /// The same, where publishing keeps so many versions, 10 otherwise, and deletes the oldest that
    /// are more; but never one that is in force.
    #[must_use]
    pub fn with_history(mut self, versions: usize) -> Self {
        self.kept = versions;
        self
    }

    /// The path of the book.
    pub fn path(&self) -> &str {
        &self.store.path
    }

    /// Publishes a version for everybody, in place of version `seen`, or as the first of all.
    /// Returns its number.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `InvalidValue` if its readers would not take it for settings, if it names a node that
    ///   there cannot be, or if it has more than 1,000 nodes; nothing was sent;
    /// - `Conflict` if another version than `seen` is in force, or one is staged; nothing was done;
    /// - `Foreign` if something else stands at the path;
    /// - `Client` with the client's own error, as `NoAuth`, data over its limit, or the end of the
    ///   session. Then, or where somebody deletes the witness meanwhile, its
    ///   [outcome](RecipeError::outcome) may be `Unknown`; a lost connection is told only after 10
    ///   attempts.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect or not, whole; an old version may
    /// stay until somebody publishes the next.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn publish(&self, seen: Option<u64>, settings: &T) -> Result<u64, RecipeError> {
        let tree = self.checked(settings)?;
        self.change(Some(&tree), |book| book.publish(seen, self.kept)).await
    }

    /// Publishes a version for so many of a hundred, in place of version `seen` for them, or as the
    /// first that there is. Returns its number.
    ///
    /// Who they are is drawn by their names: always the same ones, and those of fewer are among
    /// those of more. Until it is promoted or taken back, no other is published.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); `InvalidArgument` if that is more than 100; nothing was sent.
    ///
    /// # Cancel safety
    /// As [`publish`](Self::publish).
    ///
    /// # Panics
    /// As [`publish`](Self::publish).
    pub async fn stage(
        &self,
        seen: Option<u64>,
        settings: &T,
        percent: u8,
    ) -> Result<u64, RecipeError> {
        self.check_percent(percent)?;
        let tree = self.checked(settings)?;
        self.change(Some(&tree), |book| book.stage(seen, percent, self.kept)).await
    }

    /// Rolls the staged version out to more.
    ///
    /// # Errors
    /// As [`stage`](Self::stage); `Conflict` if it is not the one that is staged, or was rolled out
    /// to more already: who has it is not to see versions go back.
    ///
    /// # Cancel safety
    /// As [`publish`](Self::publish).
    ///
    /// # Panics
    /// As [`publish`](Self::publish).
    pub async fn roll_out(&self, version: u64, percent: u8) -> Result<(), RecipeError> {
        self.check_percent(percent)?;
        self.change(None, |book| book.widen(version, percent)).await.map(drop)
    }

    /// Makes the staged version that of everybody.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); `Conflict` if it is not the one that is staged.
    ///
    /// # Cancel safety
    /// As [`publish`](Self::publish).
    ///
    /// # Panics
    /// As [`publish`](Self::publish).
    pub async fn promote(&self, version: u64) -> Result<(), RecipeError> {
        self.change(None, |book| book.promote(version)).await.map(drop)
    }

    /// Takes back `from`, the staged version, or if there is none the one in force: everybody has
    /// what version `to` said, under a new number, which it returns.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); `Conflict` also if `to` is not kept any more; `InvalidValue`
    /// if it is not what its readers take for settings by now; `Foreign` also if somebody has
    /// deleted what it says. Then nothing was done.
    ///
    /// # Cancel safety
    /// As [`publish`](Self::publish).
    ///
    /// # Panics
    /// As [`publish`](Self::publish).
    pub async fn roll_back(&self, from: u64, to: u64) -> Result<u64, RecipeError> {
        self.check_kept(to).await?;
        self.change(None, |book| book.roll_back(from, to, self.kept)).await
    }

    /// Which versions there are, as the server that this client is connected to knows them; `None`
    /// if nothing was ever published.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
    /// use znode_recipes::Configuration;
    ///
    /// let motd = Configuration::<String>::new(&client, "/config/motd");
    /// println!("{:?}", motd.rollout().await?);
    /// if let Some(now) = motd.get("host-1").await? {
    ///     println!("host-1 has version {}: {}", now.version, now.settings);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidPath`, before anything is sent; `Foreign` if something else stands there; `Client`
    /// with the client's own error.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn rollout(&self) -> Result<Option<Rollout>, RecipeError> {
        let book = self.store.book(false).await?;
        Ok(book.map(|(book, _)| {
            let versions = book.versions.iter().map(|row| row.version).collect();
            Rollout { book, versions }
        }))
    }

    /// The settings of a member, as the server that this client is connected to knows them; `None`
    /// if there are none for it yet.
    ///
    /// # Errors
    /// As [`rollout`](Self::rollout); `InvalidValue` if they are not what this program takes for
    /// settings.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn get(&self, member: &str) -> Result<Option<Release<T>>, RecipeError> {
        let mut last = None;
        loop {
            let Some((book, _)) = self.store.book(last.is_some()).await? else { return Ok(None) };
            let Some(row) = sees(&book, member) else { return Ok(None) };
            match self.store.tree(row.content).await? {
                Some(tree) => return Release::read(self.path(), &book, row, &tree).map(Some),
                // It was taken away meanwhile, if there is another book now.
                None if last == Some(book.change) => {
                    return Err(RecipeError::missing_version(self.path(), row.version));
                }
                None => last = Some(book.change),
            }
        }
    }

    /// Follows the settings as a member of this name, from now on, in the background: the latest
    /// ones are at hand, and a stream tells of each change.
    ///
    /// It costs a `sync`, one watch, one read for each change of the book, and the reads of a tree
    /// for each version that this member sees. If the path cannot be one, nothing is sent, and the
    /// stream yields `InvalidPath`, and ends.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) {
    /// use futures::StreamExt;
    /// use znode_recipes::Configuration;
    ///
    /// let mut motd = Configuration::<String>::new(&client, "/config/motd").subscribe("host-1");
    /// while let Some(release) = motd.next().await {
    ///     match release {
    ///         Ok(release) => println!("version {}: {}", release.version, release.settings),
    ///         Err(error) => println!("{error}; {:?} is in force still", motd.latest()),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside of a tokio runtime with time enabled.
    pub fn subscribe(&self, member: &str) -> Subscription<T> {
        Subscription::start(self.store.clone(), Eye::new(member))
    }

    fn checked(&self, settings: &T) -> Result<Tree, RecipeError> {
        checked(settings).map_err(|what| RecipeError::invalid_value(self.path(), what))
    }

    /// Checks that a version which is kept is one that its readers take for settings.
    async fn check_kept(&self, version: u64) -> Result<(), RecipeError> {
        let mut last = None;
        loop {
            let book = self.store.book(true).await?;
            // What is not kept is for the change to say.
            let Some((change, row)) =
                book.and_then(|(book, _)| Some((book.change, book.row(version)?)))
            else {
                return Ok(());
            };
            match self.store.tree(row.content).await? {
                Some(tree) => {
                    let invalid = |what: T::Invalid| {
                        RecipeError::invalid_value(self.path(), what.to_string())
                    };
                    return T::from_tree(&tree).map(drop).map_err(invalid);
                }
                // It was taken away meanwhile, if there is another book now.
                None if last == Some(change) => {
                    return Err(RecipeError::missing_version(self.path(), version));
                }
                None => last = Some(change),
            }
        }
    }

    fn check_percent(&self, percent: u8) -> Result<(), RecipeError> {
        if percent > PERCENT_MAX {
            let what = format!("{percent} % are not 0 to {PERCENT_MAX}");
            return Err(RecipeError::invalid_argument(self.path(), what));
        }
        Ok(())
    }

    /// Changes the book, once, and makes the tree of its newest version; returns its number.
    async fn change(
        &self,
        tree: Option<&Tree>,
        plan: impl Fn(&Book) -> Result<Book, String>,
    ) -> Result<u64, RecipeError> {
        let (path, store) = (self.path(), &self.store);
        let _turn = self.shared.turn.lock().await;
        let mut is_synced = false;
        loop {
            let (before, version) = store.book(is_synced).await?.unzip();
            let after = match plan(&before.unwrap_or_default()) {
                Ok(after) if after.is_sound() && version != Some(Version::ANY) => after,
                Ok(_) => return Err(RecipeError::exhausted(path, "there are no larger numbers")),
                Err(what) if is_synced => return Err(RecipeError::conflict(path, what)),
                // What a server is behind with is no conflict.
                Err(_) => {
                    is_synced = true;
                    continue;
                }
            };
            if version.is_some() && !self.witnesses().is_standing() {
                // A version says nothing of a book that was made anew since. Below what is read
                // from now on there is a witness.
                self.witnesses().stand().await?;
                continue;
            }
            let book = encode_book(&after);
            let mut ops = match version {
                Some(version) => vec![Op::set_data(path, book, version)],
                None => {
                    let made = Op::create(path, book, CreateMode::Persistent);
                    vec![made, store.make_versions()]
                }
            };
            if let (Some(tree), Some(row)) = (tree, after.newest()) {
                ops.extend(store.make_tree(row.content, tree));
            }
            match self.witnesses().commit_below(&ops).await {
                // Nor is it known whether what was read is there still.
                Ok(Committed::NoWitness) => {}
                Ok(Committed::Answered(_) | Committed::Unheard) => {
                    store.clean(&after, self.witnesses()).await;
                    return Ok(after.next - 1);
                }
                Err(error) => self.is_beaten(error, version.is_none()).await?,
            }
            is_synced = true;
        }
    }

    /// Whether a change has failed because somebody else was faster, or because there is no node
    /// above, which is made then.
    async fn is_beaten(&self, error: RecipeError, is_first: bool) -> Result<(), RecipeError> {
        let failed = error.client_error().filter(|error| error.op_index() == Some(0));
        match failed.map(znode::Error::kind) {
            Some(ErrorKind::NoNode) if is_first => {
                let Some(parent) = znode::path::parent(self.path()) else { return Err(error) };
                let made = self.store.client.ensure_path(parent, Parents::Container).await;
                made.map_err(|error| self.store.failed(error))
            }
            Some(ErrorKind::BadVersion | ErrorKind::NoNode | ErrorKind::NodeExists) => Ok(()),
            _ => Err(error),
        }
    }

    fn witnesses(&self) -> &Witnesses {
        let new = || Witnesses::new(&self.store.client, &*self.store.path);
        self.shared.witnesses.get_or_init(new)
    }
}

impl Rollout {
    /// The version that is in force for everybody who has no other.
    pub fn stable(&self) -> Option<u64> {
        self.book.stable
    }

    /// The version that is being rolled out, and to how many of a hundred.
    pub fn staged(&self) -> Option<(u64, u8)> {
        self.book.staged.map(|stage| (stage.version, stage.percent))
    }

    /// All versions that are kept, the oldest first.
    pub fn versions(&self) -> &[u64] {
        &self.versions
    }
}

impl<T> Clone for Configuration<T> {
    fn clone(&self) -> Self {
        let (store, shared) = (self.store.clone(), Arc::clone(&self.shared));
        Self { store, kept: self.kept, shared, settings: PhantomData }
    }
}

impl<T> fmt::Debug for Configuration<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration").field("path", &self.store.path).finish_non_exhaustive()
    }
}
