//! Published vectors, and a server against a client.
