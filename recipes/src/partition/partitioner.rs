//! A set of parts, and how it is divided.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use znode::{Client, Parents, Path};

use super::allocator::{Allocator, Terms};
use super::board::Board;
use super::division::Division;
use super::share::Share;
use crate::layout::Layout;
use crate::lock::line::Line;
use crate::member::{PersistentNode, child};
use crate::options::LockOptions;
use crate::recipe_error::RecipeError;
use crate::sequence::{Mode, Naming};

/// How long members are to be the same before parts are divided among them, unless told otherwise:
/// long enough for a fleet that is started together.
const SETTLING: Duration = Duration::from_secs(1);

/// A set of named parts, divided among those who are there: queues among workers, tables among
/// servers. A part is granted to one session at a time, whatever members know of each other. One
/// whose session is over may not know that yet while another has its parts already, as with any
/// [`Guard`](crate::Guard): what is done with a part should carry its [token](crate::Part::token),
/// or be written [through its guard](crate::Guard::client).
///
/// It is kazoo's `SetPartitioner` on the wire: members are `<path>/party/<hex>-<id>`, and each part
/// has a lock at `<path>/locks/<part>`. Who is there only says what each member *seeks*; it has a
/// part once it holds that part's lock. When members come or go each divides the parts anew, by
/// itself, and is asked for what is not due to it any more; others have that as soon as it lets go,
/// or when its session ends. What stays due to it it keeps, where kazoo's members let go of all and
/// begin again.
///
/// All members should name the same parts. A part that some do not know is had by nobody while it
/// would be theirs.
///
/// ```no_run
/// # async fn read(queue: &str) {}
/// # async fn example(client: znode::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use futures::TryStreamExt;
/// use znode_recipes::Partitioner;
///
/// let queues = Partitioner::new(&client, "/work-queues", ["orders", "mails", "bills"])?;
/// let mut share = queues.join("host-1").await?;
/// while let Some(part) = share.try_next().await? {
///     tokio::spawn(async move {
///         // Dropped where it stands if the part is recalled, or lost with the session.
///         part.run(read(part.name())).await?;
///         part.release().await
///     });
/// }
/// # Ok(())
/// # }
/// ```
///
/// # What it costs
/// A member has one watch on all members, and for each part what a
/// [`Mutex`](crate::Mutex) costs; whoever waits for a part to be let go of watches its lock.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use std::time::Duration;
/// use znode_recipes::{Division, LockOptions, Partitioner};
///
/// let tables = Partitioner::new(&client, "/tables", (0..100).map(|i| format!("table-{i}")))?
///     .with_division(Division::Stable) // few move
///     .with_settling(Duration::from_secs(10)) // a restart is no reason to divide anew
///     .with_options(LockOptions::new().strict());
/// println!("{} parts at {}", tables.parts().count(), tables.path());
/// let share = tables.join("host-1").await?;
/// # share.leave().await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Partitioner {
    client: Client,
    path: Arc<str>,
    parts: BTreeSet<Arc<str>>,
    options: LockOptions,
    terms: Terms,
}

impl Partitioner {
    /// These parts, at `path`; nothing is sent.
    ///
    /// # Errors
    /// `InvalidPath`; `InvalidArgument` if there are no parts, one is named twice, or one cannot be
    /// the name of a node.
    pub fn new(
        client: &Client,
        path: impl Into<String>,
        parts: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, RecipeError> {
        let path: Arc<str> = path.into().into();
        Path::parse(&path).map_err(RecipeError::invalid_path)?;
        let mut all = BTreeSet::new();
        for part in parts {
            let part = part.into();
            child(&path, &part)?;
            if !all.insert(Arc::from(&*part)) {
                let what = format!("the part {part:?} is named twice");
                return Err(RecipeError::invalid_argument(&path, what));
            }
        }
        if all.is_empty() {
            return Err(RecipeError::invalid_argument(&path, "there are no parts"));
        }
        let terms = Terms { division: Division::default(), settling: SETTLING };
        let options = LockOptions::new();
        Ok(Self { client: client.clone(), path, parts: all, options, terms })
    }

    /// The same parts, divided in another way.
    #[must_use]
    pub fn with_division(mut self, division: Division) -> Self {
        self.terms.division = division;
        self
    }

    /// The same parts, divided when members have been the same for so long; for a second unless
    /// told otherwise, for thirty in kazoo's `time_boundary`. Parts of whoever is gone lie idle
    /// meanwhile; but a member that comes back by then finds them as they were.
    #[must_use]
    pub fn with_settling(mut self, settling: Duration) -> Self {
        self.terms.settling = settling;
        self
    }

    /// The same parts, with guards that promise other things. Names and data of the locks' nodes
    /// are kazoo's.
    #[must_use]
    pub fn with_options(mut self, options: LockOptions) -> Self {
        self.options = options;
        self
    }

    /// The path of what is divided.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What it is divided into, in order.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| &**part)
    }

    /// Becomes one of those among whom the parts are divided, and waits until that is so; parts
    /// come from the [`Share`].
    ///
    /// Members should be called differently: kazoo's seek the same parts where they are not, while
    /// others are sought by nobody.
    ///
    /// # Errors
    /// - `InvalidArgument` if no node's name can end with the id;
    /// - `Client` with the client's own error, as `NoAuth` or the end of the session.
    ///
    /// And from the share, also because of the lock of one part, and whatever that is, all of the
    /// share is over then:
    /// - `Foreign` if something else contends where the lock should be;
    /// - `Lost` if its place in line was deleted again and again, or nobody follows its node or the
    ///   members any more;
    /// - `Exhausted` if the numbers of those who stand in line are used up.
    ///
    /// # Cancel safety
    /// If the future is dropped, so is the share.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn join(&self, id: &str) -> Result<Share, RecipeError> {
        let (party, locks) = (self.below("party"), self.below("locks"));
        let name = format!("{}-{id}", self.client.guid().replace('-', ""));
        let path = child(&party, &name)?;
        let client = self.client.without_deadline();
        for parent in [&party, &locks] {
            // Kazoo's members do not make them anew when the server has reaped them.
            let made = client.ensure_path(parent, Parents::Persistent).await;
            made.map_err(|error| RecipeError::client(parent, error))?;
        }
        // Nobody else reads what a client has compressed.
        let membership = PersistentNode::ephemeral(&client.without_compression(), path, id)?;
        membership.until_created().await?;

        let options = self.options.clone().layout(Layout::Kazoo).data(id);
        let line = Line::new(&self.client, locks, Naming::LOCK, Mode::Exclusive);
        let line = Line { options, ..line };
        let board = Arc::new(Board::new(self.parts.clone()));
        let (leave, left) = oneshot::channel();
        let allocator = Allocator::new(line, &party.into(), membership, self.terms, &board);
        let task = tokio::spawn(allocator.run(left));
        Ok(Share::new(id, &self.path, &board, leave, task))
    }

    fn below(&self, name: &str) -> String {
        znode::path::join(&self.path, name)
    }
}
