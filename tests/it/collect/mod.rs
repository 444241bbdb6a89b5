//! What is measured on a real Redis, against what that Redis says itself.

mod agreement;
mod beside;
mod cost;
mod foreseen;
mod large;
mod scope;
mod series;
mod whose;
