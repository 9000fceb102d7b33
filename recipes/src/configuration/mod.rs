//! Settings that one publishes and many follow: versions, rolled out by degrees, and taken back.

mod book;
mod desk;
mod eye;
mod format;
mod published;
mod settings;
mod store;
mod subscription;

pub use published::{Configuration, Rollout};
pub use settings::Settings;
pub use subscription::{Latest, Release, Subscription};
