//! Where a member's allocator, its share and its parts meet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::division::{Division, Members};
use super::ledger::Ledger;
use super::part::Part;
use super::share::ShareState;
use crate::guard::Guard;
use crate::holding::Holding;
use crate::notice::{Notice, next_state};
use crate::recipe_error::RecipeError;

#[derive(Debug)]
pub(super) struct Board(Notice<State>);

#[derive(Debug)]
struct State {
    ledger: Ledger,
    /// What is true of each part that is held.
    holdings: BTreeMap<Arc<str>, Holding>,
    /// What is held, and was not asked for yet.
    ready: BTreeMap<Arc<str>, Guard>,
    members: Vec<String>,
    /// How often what is told of a share has changed.
    changes: u64,
    /// Nobody seeks parts any more; with the reason, until it is told, if that was a failure.
    end: Option<Option<RecipeError>>,
}

impl State {
    fn share_state(&self) -> ShareState {
        let names = |parts: &BTreeSet<Arc<str>>| parts.iter().map(|part| (**part).into()).collect();
        let (due, held) = (names(self.ledger.due()), names(self.ledger.held()));
        ShareState { members: self.members.clone(), due, held }
    }

    /// Takes back what nobody has asked for and is not due any more.
    fn take_back(&mut self) -> Vec<Guard> {
        let ledger = &self.ledger;
        let back: Vec<Arc<str>> =
            self.ready.keys().filter(|part| !ledger.is_due(part)).cloned().collect();
        back.iter().filter_map(|part| self.let_go(part)).collect()
    }

    fn let_go(&mut self, part: &str) -> Option<Guard> {
        self.ledger.let_go(part);
        self.holdings.remove(part);
        self.ready.remove(part)
    }
}

impl Board {
    pub(super) fn new(parts: BTreeSet<Arc<str>>) -> Self {
        let (ledger, holdings, ready) = (Ledger::new(parts), BTreeMap::new(), BTreeMap::new());
        let (members, changes, end) = (Vec::new(), 0, None);
        let state = State { ledger, holdings, ready, members, changes, end };
        Self(Notice::new(state))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.0.change(|state| {
            state.changes += 1;
            change(state)
        })
    }

    // ---- for whoever has the share ------------------------------------------------------------

    /// The next part to be had; `None` after the end.
    pub(super) async fn next(self: Arc<Self>) -> Option<Result<Part, RecipeError>> {
        let next = self.0.until(|state| {
            if let Some((part, guard)) = state.ready.pop_first() {
                return Some(Some(Ok((part, guard))));
            }
            state.end.as_mut().map(|end| end.take().map(Err))
        });
        let next = next.await?;
        Some(next.map(|(part, guard)| Part::new(part, guard, &self)))
    }

    pub(super) fn state(&self) -> ShareState {
        self.0.lock().share_state()
    }

    /// What is told of a share once that is not what was told at `last`; `None` after the end.
    pub(super) async fn next_state(&self, last: Option<u64>) -> Option<(ShareState, u64)> {
        let next = self.0.until(|state| {
            next_state(last, (state.changes, || state.share_state()), state.end.is_some())
        });
        next.await
    }

    /// What is held, as far as can be known now.
    pub(super) fn held(&self) -> BTreeSet<String> {
        let state = self.0.lock();
        let held = state.holdings.iter().filter(|(_, holding)| !holding.state().is_lost());
        held.map(|(part, _)| (**part).into()).collect()
    }

    // ---- for whoever has a part ---------------------------------------------------------------

    pub(super) fn is_due(&self, part: &str) -> bool {
        self.0.lock().ledger.is_due(part)
    }

    /// Waits until a part is not due any more.
    pub(super) async fn recalled(self: Arc<Self>, part: Arc<str>) {
        self.0.until(|state| (!state.ledger.is_due(&part)).then_some(())).await;
    }

    /// Its lock was let go of.
    pub(super) fn let_go(&self, part: &str) {
        drop(self.change(|state| state.let_go(part)));
    }

    // ---- for the allocator --------------------------------------------------------------------

    pub(super) fn divide(&self, division: Division, members: &Members, node: &str) {
        let back = self.change(|state| {
            state.members = members.ids().map(str::to_owned).collect();
            state.ledger.divide(division, members, node);
            state.take_back()
        });
        // Their deletion is put in line, and who waits for them is not held up any longer.
        drop(back);
    }

    /// Waits until there is something to be sought.
    pub(super) async fn lacks(&self) {
        self.0.until(|state| state.ledger.lacks().then_some(())).await;
    }

    /// What is to be sought from now on, and what no more.
    pub(super) fn pursue(&self) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
        let ledger = &mut self.0.lock().ledger;
        let given_up = ledger.give_up();
        (ledger.seek(), given_up)
    }

    /// A lock was granted: it is handed on, or let go of at once if nobody wants it any more.
    pub(super) fn grant(&self, part: &Arc<str>, guard: Guard) {
        let unwanted = self.change(|state| {
            if state.end.is_some() || !state.ledger.grant(part) {
                return Some(guard);
            }
            state.holdings.insert(Arc::clone(part), guard.holding().clone());
            state.ready.insert(Arc::clone(part), guard)
        });
        drop(unwanted);
    }

    /// Nobody seeks parts any more, and all are recalled.
    pub(super) fn end(&self, reason: Option<RecipeError>) {
        let back = self.change(|state| {
            state.end.get_or_insert(reason);
            state.ledger.resign();
            state.take_back()
        });
        drop(back);
    }
}
