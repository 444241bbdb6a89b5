//! `deploy/examples/order-processor`, and `docs/guide.md` that tells of it: the workers run, against a real Redis, and what
//! is measured follows them; the manifests are what they say they are.

mod alerts;
mod crash;
mod guide;
mod manifests;
mod outage;
mod scene;
mod settings;
mod stop;
mod together;
mod trouble;
mod workers;

const DIRECTORY: &str = "deploy/examples/order-processor";
