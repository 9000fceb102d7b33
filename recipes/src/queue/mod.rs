//! Queues: items that wait for whoever takes them, and come back if that does not work out.

mod candidates;
mod delivery;
mod fifo;
mod item;
mod names;
mod payload;
mod sharded;
mod shards;
mod simple;
mod taker;

pub use delivery::Delivery;
pub use fifo::Queue;
pub use item::Item;
pub use sharded::ShardedQueue;
pub use simple::SimpleQueue;
