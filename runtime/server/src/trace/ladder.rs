//! A sheet as a ladder diagram in text: our node, its peers, and arrows between them.

use super::sheet::{Line, Mark, Sheet};

/// How it is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Style {
    /// Columns of the terminal.
    pub(crate) width: usize,
    /// With colours, as terminals understand them.
    pub(crate) colour: bool,
}

/// Narrowest and widest diagrams that are worth reading.
pub(crate) const WIDTHS: std::ops::RangeInclusive<usize> = 60..=240;

/// Characters of the time and the space behind it.
const TIME: usize = 9;

/// Half the width of an address over its lane: `255.255.255.255:65535` has 21 characters.
const HALF: usize = 11;

/// Characters from lane to lane, at least: room for `INVITE` and its arrow.
const GAP_MIN: usize = 14;

/// And at most: an arrow across a wide screen is hard to follow.
const GAP_MAX: usize = 46;

/// The ladder of a sheet, drawn row by row so that a live call can go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ladder {
    style: Style,
    /// Addresses of the peers, from left to right; the node stands behind the first.
    peers: Vec<String>,
    legs: Vec<String>,
    local: String,
    gap: usize,
    /// Peers beyond these share the last lane.
    crowded: bool,
}

/// A row's content, in the order of time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row<'a> {
    Message(usize, &'a Line),
    Event(&'a Mark),
}

/// Messages and events in the order in which they happened.
pub(crate) fn rows(sheet: &Sheet) -> Vec<Row<'_>> {
    let messages = sheet.messages.iter().enumerate();
    let messages = messages.map(|(n, line)| {
        // At one moment a message comes in, something happens, and messages go out.
        let order = if line.way == "in" { 0 } else { 2 };
        ((line.offset_us, order), Row::Message(n, line))
    });
    let events = sheet.events.iter();
    let events = events.map(|mark| ((mark.offset_us, 1), Row::Event(mark)));
    let mut rows: Vec<_> = messages.chain(events).collect();
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// The whole of it.
pub(crate) fn text(sheet: &Sheet, style: Style) -> String {
    let ladder = Ladder::new(sheet, style);
    let mut text = ladder.head();
    for row in rows(sheet) {
        text.push_str(&ladder.row(row));
    }
    text.push_str(&ladder.foot(sheet));
    text
}

impl Ladder {
    /// Lanes for the peers seen so far.
    pub(crate) fn new(sheet: &Sheet, style: Style) -> Self {
        let width = style.width.clamp(*WIDTHS.start(), *WIDTHS.end());
        let room = width - TIME - 2 * HALF;
        let lanes_max = room / GAP_MIN;
        let mut peers: Vec<String> = Vec::new();
        let mut legs: Vec<Vec<u16>> = Vec::new();
        let mut crowded = false;
        for line in &sheet.messages {
            let known = peers.iter().position(|peer| *peer == line.remote);
            let at = match known {
                Some(at) => at,
                None if peers.len() < lanes_max => {
                    peers.push(line.remote.clone());
                    legs.push(Vec::new());
                    peers.len() - 1
                }
                None => {
                    crowded = true;
                    peers.len() - 1
                }
            };
            if let Some(leg) = line.leg
                && !legs[at].contains(&leg)
            {
                legs[at].push(leg);
            }
        }
        let name = |legs: &Vec<u16>| {
            let numbers: Vec<_> = legs.iter().map(u16::to_string).collect();
            let noun = if numbers.len() == 1 { "leg" } else { "legs" };
            format!("{noun} {}", numbers.join(", "))
        };
        Self {
            style: Style { width, ..style },
            // With one peer the rest of the width is for what happened.
            gap: (room * 3 / (3 * peers.len()).max(5)).clamp(GAP_MIN, GAP_MAX),
            legs: legs.iter().map(name).collect(),
            peers,
            local: sheet
                .messages
                .first()
                .map_or_else(String::new, |line| line.local.clone()),
            crowded,
        }
    }

    /// What stands over the lanes.
    pub(crate) fn head(&self) -> String {
        if self.peers.is_empty() {
            return String::new();
        }
        let mut names = vec![(self.x(1), self.paint("1", "jackfield"), 9)];
        let mut places = vec![(self.x(1), self.local.clone())];
        for (n, (peer, leg)) in self.peers.iter().zip(&self.legs).enumerate() {
            let x = self.peer_x(n);
            names.push((x, self.paint("1", leg), leg.chars().count()));
            let last = self.crowded && n + 1 == self.peers.len();
            let place = if last {
                format!("{peer} …")
            } else {
                peer.clone()
            };
            places.push((x, place));
        }
        names.sort_by_key(|(x, _, _)| *x);
        places.sort();
        let mut first = Pen::default();
        for (x, name, length) in names {
            first.to(x.saturating_sub(length / 2));
            first.write(&name, length);
        }
        let mut second = Pen::default();
        for (x, place) in places {
            // The end of an address tells more than its beginning.
            let long = place.chars().count();
            let room = self.gap.min(self.style.width / 2) - 1;
            let place = match long.checked_sub(room) {
                Some(over) if over > 0 => place.chars().skip(over + 1).collect(),
                Some(_) | None => place,
            };
            let place = if long > room {
                format!("…{place}")
            } else {
                place
            };
            let length = place.chars().count();
            let start = x.saturating_sub(length / 2).min(self.style.width - length);
            second.to(start.max(second.at + usize::from(second.at > 0)));
            second.write(&self.paint("2", &place), length);
        }
        format!("{}\n{}\n", first.text, second.text)
    }

    /// One row.
    pub(crate) fn row(&self, row: Row<'_>) -> String {
        match row {
            Row::Message(_, line) => self.message(line),
            Row::Event(mark) => self.event(mark),
        }
    }

    /// What stands below.
    pub(crate) fn foot(&self, sheet: &Sheet) -> String {
        let mut text = String::new();
        if sheet.left_out > 0 {
            let noun = if sheet.left_out == 1 {
                "message"
            } else {
                "messages"
            };
            text.push_str(&format!(
                "\n{} {noun} left out: there were too many.\n",
                sheet.left_out
            ));
        }
        if self.crowded {
            text.push_str("\nSome peers share a lane: use a wider terminal.\n");
        }
        text
    }

    fn message(&self, line: &Line) -> String {
        let peer = self.peers.iter().position(|peer| *peer == line.remote);
        let peer = self.peer_x(peer.unwrap_or(self.peers.len() - 1));
        let (left, right) = (peer.min(self.x(1)), peer.max(self.x(1)));
        let to_right = (line.way == "in") == (peer == left);
        let inner = right - left - 1;
        let label = format!(" {} ", label(line, inner - 5));
        let dashes = inner - 1 - label.chars().count();
        let (before, after) = (dashes / 2, dashes - dashes / 2);
        let arrow = if to_right {
            format!("{}{label}{}>", "─".repeat(before), "─".repeat(after))
        } else {
            format!("<{}{label}{}", "─".repeat(before), "─".repeat(after))
        };
        let mut pen = self.pen(line.offset_us);
        for n in 0..=self.peers.len() {
            let x = self.x(n);
            if x == left {
                pen.to(x);
                pen.write("│", 1);
                pen.write(&self.paint(colour(line), &arrow), inner);
            } else if x <= left || x >= right {
                pen.to(x);
                pen.write("│", 1);
            }
        }
        pen.line()
    }

    fn event(&self, mark: &Mark) -> String {
        let mut pen = self.pen(mark.offset_us);
        let node = if self.peers.is_empty() { 0 } else { 1 };
        for n in 0..=self.peers.len() {
            let x = self.x(n);
            if n == node {
                let room = self.style.width.saturating_sub(x + 2);
                let text = format!("◆ {}", cut(&plain(&mark.summary), room));
                pen.to(x);
                pen.write(&self.paint("36", &text), text.chars().count());
                pen.write(" ", 1);
            } else if x >= pen.at {
                pen.to(x);
                pen.write("│", 1);
            }
        }
        pen.line()
    }

    /// The time, as in every ladder of ours.
    fn pen(&self, offset_us: i64) -> Pen {
        let mut pen = Pen::default();
        let seconds = offset_us as f64 / 1_000_000.0;
        let time = format!("{seconds:>8.3}");
        pen.write(&self.paint("2", &time), time.chars().count());
        pen
    }

    /// The place of a lane, counted from the left; the node's is the second.
    fn x(&self, lane: usize) -> usize {
        TIME + HALF + lane * self.gap
    }

    fn peer_x(&self, peer: usize) -> usize {
        self.x(if peer == 0 { 0 } else { peer + 1 })
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.style.colour {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// What stands on an arrow. Without room an answer's method goes first.
fn label(line: &Line, room: usize) -> String {
    let sdp = if line.sdp { " SDP" } else { "" };
    let again = if line.retransmission { " again" } else { "" };
    let summary = plain(&line.summary);
    let long = format!("{summary}{sdp}{again}");
    match summary.split_once(" (") {
        Some((short, _)) if long.chars().count() > room => {
            cut(&format!("{short}{sdp}{again}"), room)
        }
        Some(_) | None => cut(&long, room),
    }
}

/// SGR parameters of a message: what went again is faint, refusals are red, requests bold.
fn colour(line: &Line) -> &'static str {
    let status = line.summary.split(' ').next().unwrap_or_default();
    match status.as_bytes().first() {
        _ if line.retransmission => "2;33",
        Some(b'1') => "33",
        Some(b'2') => "32",
        Some(b'3') => "36",
        Some(b'4'..=b'6') => "31",
        Some(_) | None => "1",
    }
}

/// The first characters, with a sign that there are more.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// What a far end wrote must not steer the terminal it is shown on.
pub(crate) fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Writes a row from left to right; colours take no room.
#[derive(Default)]
struct Pen {
    text: String,
    at: usize,
}

impl Pen {
    fn to(&mut self, x: usize) {
        let blanks = x.saturating_sub(self.at);
        self.text.push_str(&" ".repeat(blanks));
        self.at += blanks;
    }

    fn write(&mut self, text: &str, length: usize) {
        self.text.push_str(text);
        self.at += length;
    }

    fn line(self) -> String {
        format!("{}\n", self.text.trim_end())
    }
}

#[cfg(test)]
mod tests;
