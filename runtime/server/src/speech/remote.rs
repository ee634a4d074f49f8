//! An engine that is asked over the network: by HTTP or by WebSocket.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use media::{sound, wav};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, http};
use tokio_tungstenite::{Connector, connect_async_tls_with_config};
use vocab::Pii;

/// Longest answer: two minutes at 48 kHz.
const ANSWER_BYTES_MAX: usize = 12 << 20;

/// Longest message of a WebSocket.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Rates that raw audio may have.
const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Where the engine is, and what it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Setup {
    /// `http://`, `https://`, `ws://` or `wss://`.
    pub(crate) url: String,
    /// Sent as `Authorization: Bearer`.
    pub(crate) key: Option<Pii<String>>,
    /// What is posted, with `{text}` and `{voice}` in its texts.
    pub(crate) body: Value,
    /// Longest wait for the whole answer.
    pub(crate) timeout: Duration,
}

impl Setup {
    /// What is posted unless another body is configured.
    pub(crate) fn usual_body() -> Value {
        json!({ "text": "{text}", "voice": "{voice}" })
    }
}

/// The engine.
#[derive(Debug)]
pub(super) struct Remote {
    setup: Setup,
    client: reqwest::Client,
    tls: std::sync::Arc<rustls::ClientConfig>,
}

impl Remote {
    /// Nothing is asked of it yet.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub(super) fn new(
        setup: Setup,
        tls: std::sync::Arc<rustls::ClientConfig>,
    ) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(rustls::ClientConfig::clone(&tls))
            .timeout(setup.timeout)
            // An engine that sends us elsewhere may send us anywhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { setup, client, tls })
    }

    /// Says what tells its speech from that of other engines.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.setup.url, self.setup.body)
    }

    /// Has a text spoken.
    pub(super) async fn speak(&self, text: &str, voice: &str) -> Result<Vec<i16>, String> {
        let spoken = async {
            if self.setup.url.starts_with("ws") {
                self.by_websocket(text, voice).await
            } else {
                self.by_http(text, voice).await
            }
        };
        let late = |_| "it took too long".to_owned();
        tokio::time::timeout(self.setup.timeout, spoken)
            .await
            .map_err(late)?
    }

    fn bearer(&self) -> Result<Option<HeaderValue>, String> {
        let value = self.setup.key.as_ref().map(|key| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", key.reveal()))?;
            value.set_sensitive(true);
            Ok::<_, http::header::InvalidHeaderValue>(value)
        });
        value
            .transpose()
            .map_err(|_| "its key is no header's value".to_owned())
    }

    async fn by_http(&self, text: &str, voice: &str) -> Result<Vec<i16>, String> {
        let body = filled(&self.setup.body, text, voice).to_string();
        let mut request = self
            .client
            .post(&self.setup.url)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(bearer) = self.bearer()? {
            request = request.header(AUTHORIZATION, bearer);
        }
        // Its own words hold the URL, which may hold a key.
        let failed = |error: reqwest::Error| error.without_url().to_string();
        let mut response = request.send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(format!("it answers with {}", response.status()));
        }
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let rate_hz = raw_rate(kind)?;
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(format!("its answer has more than {ANSWER_BYTES_MAX} bytes"));
            }
            bytes.extend_from_slice(&piece);
        }
        match rate_hz {
            Some(rate_hz) => raw(&bytes, rate_hz),
            None => sound::read(&bytes).map_err(|error| format!("its answer: {error}")),
        }
    }

    async fn by_websocket(&self, text: &str, voice: &str) -> Result<Vec<i16>, String> {
        let failed = |error: tokio_tungstenite::tungstenite::Error| error.to_string();
        let mut request = self
            .setup
            .url
            .as_str()
            .into_client_request()
            .map_err(failed)?;
        if let Some(bearer) = self.bearer()? {
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        let bounds = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let tls = Some(Connector::Rustls(std::sync::Arc::clone(&self.tls)));
        let connected = connect_async_tls_with_config(request, Some(bounds), true, tls).await;
        let (mut socket, _) = connected.map_err(failed)?;
        let wish = json!({ "type": "speak", "text": text, "voice": voice });
        let wish = Message::text(wish.to_string());
        socket.send(wish).await.map_err(failed)?;
        let mut rate_hz = 8_000;
        let mut bytes: Vec<u8> = Vec::new();
        while let Some(message) = socket.next().await {
            match message.map_err(failed)? {
                Message::Binary(piece) => {
                    if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
                        return Err(format!("its answer has more than {ANSWER_BYTES_MAX} bytes"));
                    }
                    bytes.extend_from_slice(&piece);
                }
                Message::Text(said) => {
                    let said: Value = serde_json::from_str(&said)
                        .map_err(|_| "it says what is no JSON".to_owned())?;
                    match said["type"].as_str() {
                        Some("start") => {
                            let rate = said["rate_hz"]
                                .as_u64()
                                .and_then(|it| u32::try_from(it).ok());
                            rate_hz = rate.ok_or("its start has no rate_hz")?;
                        }
                        Some("end") => {
                            drop(socket.close(None).await);
                            return raw(&bytes, rate_hz);
                        }
                        Some("error") => {
                            let why = said["message"].as_str().unwrap_or("it does not say why");
                            return Err(why.chars().take(200).collect());
                        }
                        Some(_) | None => {}
                    }
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                Message::Close(_) => break,
            }
        }
        Err("it went away before the end".to_owned())
    }
}

/// The rate of raw 16 bit samples, if a content type says that these follow: `audio/pcm;rate=24000`, or
/// `audio/L16` (RFC 2586), which has the other byte order and is not taken.
fn raw_rate(kind: &str) -> Result<Option<u32>, String> {
    let mut parts = kind.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    if !["audio/pcm", "audio/x-pcm"].contains(&essence.as_str()) {
        let text = essence.starts_with("text/") || essence == "application/json";
        let refused = || Err(format!("it answers with {essence}, which is no sound"));
        return if text { refused() } else { Ok(None) };
    }
    let mut rates = parts.filter_map(|part| part.strip_prefix("rate="));
    let rate = rates
        .next()
        .map_or(Ok(8_000), |rate| rate.trim().parse::<u32>());
    rate.map(Some)
        .map_err(|_| format!("{kind}: the rate is no number"))
}

/// Samples of 16 bits, lower byte first, at 8,000 a second.
fn raw(bytes: &[u8], rate_hz: u32) -> Result<Vec<i16>, String> {
    if !RATES_HZ.contains(&rate_hz) {
        return Err(format!(
            "{rate_hz} samples a second; 8,000 to 48,000 are read"
        ));
    }
    if bytes.len() < 2 {
        return Err("it says nothing".to_owned());
    }
    let samples = bytes.chunks_exact(2);
    let samples = samples.map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])));
    Ok(wav::to_8_khz(&samples.collect::<Vec<_>>(), rate_hz))
}

/// A body with the text and the voice in their places.
fn filled(body: &Value, text: &str, voice: &str) -> Value {
    match body {
        Value::String(pattern) => {
            let mut out = String::new();
            let mut rest = pattern.as_str();
            // In one pass: what is put in is not looked into.
            while let Some(at) = rest.find('{') {
                out.push_str(&rest[..at]);
                rest = &rest[at..];
                let known = [("{text}", text), ("{voice}", voice)];
                match known.iter().find(|(name, _)| rest.starts_with(name)) {
                    Some((name, value)) => {
                        out.push_str(value);
                        rest = &rest[name.len()..];
                    }
                    None => {
                        out.push('{');
                        rest = &rest[1..];
                    }
                }
            }
            Value::String(out + rest)
        }
        Value::Array(items) => items.iter().map(|item| filled(item, text, voice)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), filled(value, text, voice)));
            Value::Object(fields.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => body.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_filled_and_not_broken() {
        let body = json!({ "input": { "text": "{text}", "n": 1 }, "as": ["{voice}-x", "{other}"] });
        let text = "say \"{voice}\" \n 好";
        let expected = json!({
            "input": { "text": text, "n": 1 }, "as": ["zh-CN-x", "{other}"],
        });
        assert_eq!(filled(&body, text, "zh-CN"), expected);
    }

    #[test]
    fn kinds_of_answers_are_told_apart() {
        assert_eq!(raw_rate("audio/pcm;rate=24000"), Ok(Some(24_000)));
        assert_eq!(raw_rate("audio/pcm"), Ok(Some(8_000)));
        assert_eq!(raw_rate("audio/mpeg"), Ok(None));
        assert_eq!(raw_rate(""), Ok(None));
        assert!(raw_rate("text/html; charset=utf-8").is_err());
        assert!(raw_rate("audio/pcm; rate=fast").is_err());
        assert!(raw(&[0; 100], 4_000).is_err() && raw(&[], 8_000).is_err());
        assert_eq!(raw(&[1, 0, 2, 0], 8_000), Ok(vec![1, 2]));
    }
}
