//! Clients of the gateway: programs that users have, and libraries for what those
//! cannot show.

pub mod curl;
pub mod frames;
pub mod grpc;
pub mod h2;
pub mod h2load;
pub mod raw;
pub mod s_client;
pub mod tls;
