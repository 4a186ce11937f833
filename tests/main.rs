//! One binary for all integration tests: a module for every step of a request's way.

mod demo;
mod layers;
