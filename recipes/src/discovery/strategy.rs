//! Which of several instances is asked next.

use std::fmt;
use std::sync::Arc;

use super::instance::ServiceInstance;

/// Which of several instances a [`Provider`](crate::Provider) gives next.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{Discovery, Strategy};
///
/// let discovery = Discovery::new(&client, "/services");
/// let in_turn = discovery.provider("billing", Strategy::round_robin())?;
/// let at_random = discovery.provider("billing", Strategy::random())?;
/// let always_the_same = discovery.provider("billing", Strategy::sticky())?;
/// let near_ones = discovery.provider(
///     "billing",
///     Strategy::weighted(|it| match it.address.as_deref() {
///         Some(address) if address.starts_with("10.1.") => 10,
///         _ => 1,
///     }),
/// )?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Strategy(Kind);

#[derive(Clone, Default)]
enum Kind {
    #[default]
    RoundRobin,
    Random,
    Sticky,
    Weighted(Arc<dyn Fn(&ServiceInstance) -> u32 + Send + Sync>),
}

/// What is remembered from one choice to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The id of the instance that was given last.
    last: Option<String>,
}

impl Strategy {
    /// One after the other, in the order of their names.
    pub fn round_robin() -> Self {
        Self(Kind::RoundRobin)
    }

    /// Any, drawn from the client's seed.
    pub fn random() -> Self {
        Self(Kind::Random)
    }

    /// Any, and from then on the same, until that is gone or rests.
    pub fn sticky() -> Self {
        Self(Kind::Sticky)
    }

    /// Any, each as often as it weighs among the others; never one that weighs nothing.
    pub fn weighted(weight: impl Fn(&ServiceInstance) -> u32 + Send + Sync + 'static) -> Self {
        Self(Kind::Weighted(Arc::new(weight)))
    }

    /// What an instance weighs among the others. Users' own code: no lock is held over it.
    pub(super) fn weight(&self, instance: &ServiceInstance) -> u32 {
        match &self.0 {
            Kind::Weighted(weight) => weight(instance),
            Kind::RoundRobin | Kind::Random | Kind::Sticky => 1,
        }
    }

    /// One of `instances`, which are in the order of their ids and have weights; with a number that
    /// was drawn.
    pub(super) fn choose<'a>(
        &self,
        memory: &mut Memory,
        instances: &[(&'a Arc<ServiceInstance>, u32)],
        drawn: u64,
    ) -> Option<&'a Arc<ServiceInstance>> {
        let last = memory.last.as_deref();
        let mut all = instances.iter().map(|(it, _)| *it);
        let chosen = match &self.0 {
            // By name and not by number: whoever comes or goes changes nobody's turn.
            Kind::RoundRobin => {
                let first = instances.first().map(|(it, _)| *it);
                all.find(|it| last.is_none_or(|last| *it.id > *last)).or(first)
            }
            Kind::Sticky => all.find(|it| Some(&*it.id) == last).or_else(|| any(instances, drawn)),
            Kind::Random | Kind::Weighted(_) => any(instances, drawn),
        };
        memory.last = chosen.map(|it| it.id.clone());
        chosen
    }
}

/// The one whose share of all weights a drawn number falls into.
fn any<'a>(
    instances: &[(&'a Arc<ServiceInstance>, u32)],
    drawn: u64,
) -> Option<&'a Arc<ServiceInstance>> {
    let sum: u64 = instances.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let mut at = share(drawn, sum);
    for (instance, weight) in instances {
        match at.checked_sub(u64::from(*weight)) {
            Some(left) => at = left,
            None => return Some(instance),
        }
    }
    None
}

/// Which of so many equal shares a drawn number falls into.
fn share(drawn: u64, shares: u64) -> u64 {
    let at = (u128::from(drawn) * u128::from(shares)) >> 64;
    u64::try_from(at).expect("it is less than the shares")
}

impl fmt::Debug for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::RoundRobin => "RoundRobin",
            Kind::Random => "Random",
            Kind::Sticky => "Sticky",
            Kind::Weighted(_) => "Weighted",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instances(ids: &[&str]) -> Vec<Arc<ServiceInstance>> {
        ids.iter().map(|id| Arc::new(ServiceInstance::new("a", *id))).collect()
    }

    fn choose(strategy: &Strategy, memory: &mut Memory, ids: &[&str], drawn: u64) -> String {
        let all = instances(ids);
        let all: Vec<_> = all.iter().map(|it| (it, strategy.weight(it))).collect();
        strategy.choose(memory, &all, drawn).map(|it| it.id.clone()).unwrap_or_default()
    }

    #[test]
    fn turns_go_on_whoever_comes_and_goes() {
        let (strategy, mut memory) = (Strategy::round_robin(), Memory::default());
        let mut next = |ids: &[&str]| choose(&strategy, &mut memory, ids, 0);
        assert_eq!(["a", "b", "c", "a"].map(|_| next(&["a", "b", "c"])), ["a", "b", "c", "a"]);
        assert_eq!(next(&["a", "c"]), "c");
        assert_eq!(next(&["a", "d"]), "d");
        assert_eq!(next(&[]), "");
        assert_eq!(next(&["a"]), "a");
    }

    #[test]
    fn a_sticky_choice_stays_until_it_is_gone() {
        let (strategy, mut memory) = (Strategy::sticky(), Memory::default());
        let mut next = |ids: &[&str], drawn| choose(&strategy, &mut memory, ids, drawn);
        assert_eq!(next(&["a", "b", "c"], u64::MAX), "c");
        assert_eq!(next(&["a", "b", "c", "d"], 0), "c");
        assert_eq!(next(&["a", "b"], 0), "a");
        assert_eq!(next(&["a", "b"], u64::MAX), "a");
    }

    #[test]
    fn draws_fall_into_shares_as_large_as_the_weights() {
        let strategy = Strategy::weighted(|it| match it.id.as_str() {
            "a" => 3,
            "b" => 0,
            _ => 1,
        });
        let of_draw = |drawn| choose(&strategy, &mut Memory::default(), &["a", "b", "c"], drawn);
        let quarters = [0, 1, 2, 3].map(|quarter| of_draw(quarter << 62));
        assert_eq!(quarters, ["a", "a", "a", "c"]);
        assert_eq!(of_draw(u64::MAX), "c");
        let nothing = Strategy::weighted(|_| 0);
        assert_eq!(choose(&nothing, &mut Memory::default(), &["a"], 7), "");
        let most = Strategy::weighted(|_| u32::MAX);
        assert_eq!(choose(&most, &mut Memory::default(), &["a", "b"], u64::MAX), "b");
        let any = Strategy::random();
        let halves = [0, 1 << 63].map(|d| choose(&any, &mut Memory::default(), &["a", "b"], d));
        assert_eq!(halves, ["a", "b"]);
    }
}
