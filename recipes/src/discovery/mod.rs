//! Services and their instances, as Curator's discovery writes them. (Feature `discovery`.)

mod instance;
mod instances;
mod provider;
mod registration;
mod rest;
mod services;
mod strategy;
mod uri;

pub use instance::{ServiceInstance, ServiceType};
pub use instances::InstanceChanges;
pub use provider::Provider;
pub use registration::Registration;
pub use services::Discovery;
pub use strategy::Strategy;
pub use uri::{UriPart, UriSpec};
