//! TLS: certificates from files, and what the other side must show.

// Certificates are files.
#![allow(clippy::disallowed_methods)]

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};

/// Where Linux distributions keep the certificates of known authorities, in one file: Debian,
/// Fedora, openSUSE, Alpine.
const SYSTEM_CA: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How TLS is set up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Setup {
    /// Our certificate and those that vouch for it, and its key, in PEM files.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Those who connect must show a certificate that one in this file vouches for.
    pub client_ca: Option<PathBuf>,
    /// Those we connect to must show one that this file vouches for, or else the system's.
    pub ca: Option<PathBuf>,
    /// Those we connect to may show anything.
    pub insecure: bool,
}

/// What connections are made with. Those that are up keep what they began with.
#[derive(Clone, Debug)]
pub struct Tls {
    server: Option<Arc<ServerConfig>>,
    client: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// In one line, with the file and what is wrong with it.
    pub fn load(setup: &Setup) -> anyhow::Result<Self> {
        // Named, not the process's default: which one that is depends on what else is linked.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let identity = match &setup.identity {
            Some((certificate, key)) => Some(identity(certificate, key)?),
            None => None,
        };
        let server = match &identity {
            Some((chain, key)) => {
                let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
                    .with_safe_default_protocol_versions()?;
                let config = match &setup.client_ca {
                    Some(file) => {
                        let roots = Arc::new(roots(file)?);
                        let verifier = WebPkiClientVerifier::builder_with_provider(
                            roots,
                            Arc::clone(&provider),
                        );
                        config.with_client_cert_verifier(verifier.build()?)
                    }
                    None => config.with_no_client_auth(),
                };
                let config = config.with_single_cert(chain.clone(), key.clone_key());
                Some(Arc::new(
                    config.map_err(|error| unusable(setup, &error.to_string()))?,
                ))
            }
            None => None,
        };
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let config = if setup.insecure {
            let anyone = Arc::new(Anyone(provider));
            config.dangerous().with_custom_certificate_verifier(anyone)
        } else {
            let roots = match &setup.ca {
                Some(file) => roots(file)?,
                None => system_roots(),
            };
            config.with_root_certificates(roots)
        };
        let client = match identity {
            // For carriers that want to see who we are.
            Some((chain, key)) => config
                .with_client_auth_cert(chain, key)
                .map_err(|error| unusable(setup, &error.to_string()))?,
            None => config.with_no_client_auth(),
        };
        Ok(Self {
            server,
            client: Arc::new(client),
        })
    }

    /// For connections that come in; `None` without a certificate of ours.
    pub(crate) fn server(&self) -> Option<Arc<ServerConfig>> {
        self.server.clone()
    }

    /// For connections that we open.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }
}

fn unusable(setup: &Setup, why: &str) -> anyhow::Error {
    let file = setup.identity.as_ref().map(|(file, _)| file.display());
    let file = file.map_or(String::new(), |file| file.to_string());
    anyhow!("the certificate {file} cannot be used: {why}; does the key belong to it?")
}

/// A certificate with its key.
fn identity(
    certificate: &Path,
    key: &Path,
) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        let file = key.display();
        anyhow!("no private key in {file}: {error}; name a PEM file that this user may read")
    })?;
    Ok((chain, key))
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || -> Result<Vec<_>, rustls::pki_types::pem::Error> {
        CertificateDer::pem_file_iter(file)?.collect()
    };
    let found = read().map_err(|error| {
        anyhow!(
            "the certificate {} cannot be read: {error}; name a PEM file",
            file.display()
        )
    })?;
    ensure!(
        !found.is_empty(),
        "no certificate in {}: name a PEM file that has one",
        file.display()
    );
    Ok(found)
}

fn roots(file: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (good, _) = roots.add_parsable_certificates(certificates(file)?);
    if good == 0 {
        bail!("no certificate in {} can be used", file.display());
    }
    Ok(roots)
}

/// The system's, or none: then nobody we connect to is believed.
fn system_roots() -> RootCertStore {
    let mut files = SYSTEM_CA.iter().map(Path::new);
    let found = files.find_map(|file| roots(file).ok());
    found.unwrap_or_else(RootCertStore::empty)
}

/// Makes a certificate that vouches for itself, for trying things out; an earlier one stays.
/// Gives the files of certificate and key.
///
/// # Errors
/// In one line, with the file.
pub fn self_signed(folder: &Path, names: &[IpAddr]) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (
        folder.join("tls-self-signed.pem"),
        folder.join("tls-self-signed.key"),
    );
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    let names = names.iter().map(ToString::to_string);
    let names: Vec<String> = names.chain(["localhost".to_owned()]).collect();
    let made = rcgen::generate_simple_self_signed(names).context("making a certificate")?;
    let secret = pem("PRIVATE KEY", &made.signing_key.serialize_der());
    crate::plugin_dir::write_private(&key, secret.as_bytes())
        .with_context(|| format!("writing {}", key.display()))?;
    std::fs::write(&certificate, pem("CERTIFICATE", made.cert.der()))
        .with_context(|| format!("writing {}", certificate.display()))?;
    Ok((certificate, key))
}

/// Bytes as text (RFC 7468).
fn pem(label: &str, bytes: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in bytes.chunks(48) {
        text.push_str(&BASE64.encode(line));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

/// Believes everybody; only signatures are checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
