//! JSON, by the grammar of RFC 8259.

use super::Fault;
use std::ops::Range;

/// A value, and where its text is.
#[derive(Debug)]
pub(super) struct Node {
    start: usize,
    end: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    String(String),
    /// A number, or one of the three names.
    Other,
}

impl Node {
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    pub(super) fn elements(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// In the order of the text, equal names included.
    pub(super) fn members(&self) -> Option<&[(String, Node)]> {
        match &self.kind {
            Kind::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The last member of this name.
    pub(super) fn member(&self, name: &str) -> Option<&Node> {
        let named = |(other, _): &&(String, Node)| other == name;
        self.members()?.iter().rev().find(named).map(|(_, node)| node)
    }

    /// With U+FFFD for unpaired surrogates.
    pub(super) fn string(&self) -> Option<String> {
        match &self.kind {
            Kind::String(string) => Some(string.clone()),
            _ => None,
        }
    }
}

/// The counting steps of PAY-14.
pub(super) fn check_depth(text: &str, limit: usize) -> Result<(), Fault> {
    let bytes = text.as_bytes();
    let (mut at, mut level, mut in_string) = (0, 0_usize, false);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => in_string = !in_string,
            b'\\' if in_string => at += 1,
            b'[' | b'{' if !in_string => {
                if level == limit {
                    return Err("nesting");
                }
                level += 1;
            }
            b']' | b'}' if !in_string && level > 0 => level -= 1,
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// The one document that `text` is; its depth was checked, so recursion ends.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader { text, at: 0 };
    let node = reader.value()?;
    reader.space();
    if reader.at == text.len() { Ok(node) } else { Err("json") }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn next(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, wanted: char) -> Result<(), Fault> {
        if self.next() != Some(wanted) {
            return Err("json");
        }
        self.at += wanted.len_utf8();
        Ok(())
    }

    fn space(&mut self) {
        while matches!(self.next(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Node, Fault> {
        self.space();
        let start = self.at;
        let kind = match self.next() {
            Some('{') => Kind::Object(self.list('{', '}', |reader| {
                reader.space();
                let name = reader.string()?;
                reader.space();
                reader.take(':')?;
                Ok((name, reader.value()?))
            })?),
            Some('[') => Kind::Array(self.list('[', ']', Self::value)?),
            Some('"') => Kind::String(self.string()?),
            Some('t') => self.name("true")?,
            Some('f') => self.name("false")?,
            Some('n') => self.name("null")?,
            _ => self.number()?,
        };
        Ok(Node { start, end: self.at, kind })
    }

    fn list<T>(
        &mut self,
        open: char,
        close: char,
        item: impl Fn(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        self.take(open)?;
        let mut items = Vec::new();
        self.space();
        if self.next() == Some(close) {
            self.take(close)?;
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            self.space();
            if self.next() != Some(',') {
                self.take(close)?;
                return Ok(items);
            }
            self.take(',')?;
        }
    }

    fn name(&mut self, name: &str) -> Result<Kind, Fault> {
        name.chars().try_for_each(|letter| self.take(letter))?;
        Ok(Kind::Other)
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        if self.next() == Some('-') {
            self.take('-')?;
        }
        if self.next() == Some('0') {
            self.take('0')?;
        } else {
            self.digits()?;
        }
        if self.next() == Some('.') {
            self.take('.')?;
            self.digits()?;
        }
        if matches!(self.next(), Some('e' | 'E')) {
            self.at += 1;
            if matches!(self.next(), Some('+' | '-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Kind::Other)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.next(), Some('0'..='9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err("json") }
    }

    /// As UTF-16 units first, of which pairs of surrogates become characters.
    fn string(&mut self) -> Result<String, Fault> {
        self.take('"')?;
        let mut units = Vec::new();
        loop {
            let character = self.next().ok_or("json")?;
            match character {
                '"' => break,
                '\\' => {
                    self.take('\\')?;
                    units.push(self.escape()?);
                }
                '\0'..='\u{1f}' => return Err("json"),
                _ => {
                    self.take(character)?;
                    units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
                }
            }
        }
        self.take('"')?;
        Ok(String::from_utf16_lossy(&units))
    }

    fn escape(&mut self) -> Result<u16, Fault> {
        let letter = self.next().ok_or("json")?;
        self.at += letter.len_utf8();
        Ok(match letter {
            '"' | '\\' | '/' => letter as u16,
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'u' => {
                let mut unit = 0;
                for _ in 0..4 {
                    let digit = self.next().and_then(|digit| digit.to_digit(16)).ok_or("json")?;
                    self.at += 1;
                    unit = unit * 16 + digit as u16;
                }
                unit
            }
            _ => return Err("json"),
        })
    }
}
