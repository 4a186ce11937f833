//! A connection's task: connect, start the protocol, drive it to its end.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::connect::connect;
use super::error::AcquireError;
use super::params::Protocol;
use super::pool::Pool;
use super::{http1, http2};

/// Ends when the connection does. The pool has counted it as opening.
pub(super) async fn run(pool: Rc<Pool>) {
    let started = Instant::now();
    let limit = pool.shared.params.connect_timeout;
    // Boxed: the future of a connect is large, and gone once the connection runs.
    match timeout(limit, Box::pin(establish(&pool))).await {
        Ok(Ok(Established::H2(driver))) => driver.run(&pool).await,
        Ok(Ok(Established::Http1(driver))) => driver.run(&pool).await,
        Ok(Err(source)) => pool.connect_failed(
            AcquireError::Connect {
                endpoint: pool.endpoint.address,
                source: Arc::new(source),
            },
            started,
        ),
        Err(_elapsed) => pool.connect_failed(
            AcquireError::ConnectTimeout {
                endpoint: pool.endpoint.address,
                after: limit,
            },
            started,
        ),
    }
}

enum Established {
    H2(Box<http2::Driver>),
    Http1(Box<http1::Driver>),
}

async fn establish(pool: &Rc<Pool>) -> io::Result<Established> {
    let stream = connect(
        pool.endpoint.address,
        &pool.endpoint.host,
        pool.params().tcp_keepalive,
        pool.shared.tls.as_ref(),
    )
    .await?;
    Ok(match pool.shared.params.protocol {
        Protocol::H2c => Established::H2(Box::new(http2::start(pool, stream).await?)),
        Protocol::Http1 => Established::Http1(Box::new(http1::start(pool, stream).await?)),
    })
}
