//! A server for programs in any language: `cargo run --example test_server`.
//!
//! Prints its connect string on the first line and runs until its standard input is closed.

use tokio::io::AsyncReadExt;
use znode_examples::Error;
use znode_testing::TestingServer;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let server = TestingServer::start().await?;
    println!("{}", server.connect_string());
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    server.stop().await;
    Ok(())
}
