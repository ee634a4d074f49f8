//! The object store: S3, or what speaks like it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::buffered::BufWriter;
use object_store::path::Path as Name;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt as _, RetryConfig};
use store::Segment;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use vocab::Pii;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest wait for one request: a part of an upload has 10 MB at most.
const REQUEST: Duration = Duration::from_secs(60);

/// Bytes that are read from a file at a time.
const CHUNK: usize = 1 << 18;

/// Where the object store is, and what is shown to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Setup {
    /// Its address, as in `https://s3.example.com`. Without it, AWS's of the region.
    pub(crate) endpoint: Option<String>,
    /// The region that requests are signed for.
    pub(crate) region: String,
    /// The bucket.
    pub(crate) bucket: String,
    /// What all names begin with; may be empty.
    pub(crate) prefix: String,
    /// Who we are.
    pub(crate) access_key: Pii<String>,
    /// The secret of that.
    pub(crate) secret_key: Pii<String>,
    /// The bucket's name is part of the host's.
    pub(crate) virtual_host: bool,
    /// How long a recording stays in a file here as well.
    pub(crate) keep_local: Duration,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The store is away, or lets nobody in.
    #[error("the object store: {0}")]
    Away(#[source] object_store::Error),
    /// The store does not have it.
    #[error("it is not in the object store")]
    NotThere,
    /// The file here cannot be read or written.
    #[error("{0}")]
    File(#[from] io::Error),
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Self {
        Self::Away(error)
    }
}

/// The object store.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    pub(super) keep_local: Duration,
}

impl Remote {
    /// Nothing is asked of it yet.
    ///
    /// # Errors
    /// When the settings make no sense together.
    pub(super) fn new(setup: &Setup) -> anyhow::Result<Self> {
        // The client takes the process' own provider. An error says that there is one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let plain = setup
            .endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.starts_with("http://"));
        let client = ClientOptions::new()
            .with_allow_http(plain)
            .with_connect_timeout(CONNECT)
            .with_timeout(REQUEST);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&setup.bucket)
            .with_region(&setup.region)
            .with_access_key_id(setup.access_key.reveal())
            .with_secret_access_key(setup.secret_key.reveal())
            .with_virtual_hosted_style_request(setup.virtual_host)
            // What arrives is what was sent, or the store refuses it.
            .with_checksum_algorithm(Checksum::SHA256)
            .with_client_options(client)
            // When it is tried again is decided in `uploads`.
            .with_retry(RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            });
        if let Some(endpoint) = &setup.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder
            .build()
            .context("the object store of recordings: see [recordings.s3] in the configuration")?;
        Ok(Self {
            store: Arc::new(store),
            prefix: setup.prefix.clone(),
            keep_local: setup.keep_local,
        })
    }

    /// What it is called there: by tenant and day (UTC), so that rules of the store can tell.
    fn name(&self, segment: &Segment) -> Name {
        let at = jiff::Timestamp::from_microsecond(segment.started_at.0).unwrap_or_default();
        let day = at.strftime("%Y/%m/%d");
        let file = super::names::file(segment);
        let tenant = &segment.tenant;
        let name = format!("{tenant}/{day}/{file}");
        match self.prefix.as_str() {
            "" => Name::from(name),
            prefix => Name::from(format!("{prefix}/{name}")),
        }
    }

    /// Uploads a file; what is half there is not there.
    pub(super) async fn put(&self, segment: &Segment, path: &Path) -> Result<(), Failure> {
        let mut file = tokio::fs::File::open(path).await?;
        let mut writer = BufWriter::new(Arc::clone(&self.store), self.name(segment));
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = file.read(&mut chunk).await?;
            if count == 0 {
                break;
            }
            if let Err(error) = writer.write_all(&chunk[..count]).await {
                drop(writer.abort().await);
                return Err(Failure::Away(away(error)));
            }
        }
        writer
            .shutdown()
            .await
            .map_err(|error| Failure::Away(away(error)))
    }

    /// Downloads into a file, which is then at its beginning.
    pub(super) async fn get(&self, segment: &Segment, mut file: File) -> Result<File, Failure> {
        let found = self.store.get(&self.name(segment)).await;
        let found = found.map_err(|error| {
            if matches!(error, object_store::Error::NotFound { .. }) {
                Failure::NotThere
            } else {
                Failure::Away(error)
            }
        })?;
        let mut stream = found.into_stream();
        while let Some(bytes) = stream.next().await {
            // The file is in the page cache: it takes microseconds.
            file.write_all(&bytes?)?;
        }
        io::Seek::rewind(&mut file)?;
        Ok(file)
    }

    /// Deletes it; one that is not there is fine.
    pub(super) async fn delete(&self, segment: &Segment) -> Result<(), Failure> {
        match self.store.delete(&self.name(segment)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Failure::Away(error)),
        }
    }
}

/// The store's error, out of what a writer makes of it.
fn away(error: io::Error) -> object_store::Error {
    match error.downcast::<object_store::Error>() {
        Ok(error) => error,
        Err(error) => object_store::Error::Generic {
            store: "S3",
            source: error.into(),
        },
    }
}
