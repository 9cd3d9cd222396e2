//! Typed values out of a tree of nodes. Each refusal knows its place; what was refused is marked broken in the tree and the
//! reading begins again, until nothing more is refused: so every wrong type and unknown key is told at once.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};

use crate::config::refusal::{Refusal, Step, kind};
use crate::config::yaml::{Entry, Node, Problem, Value};

/// Newtype of this name: a list, or one element in its place.
pub(crate) const ONE_OR_MANY: &str = "$one or many";
/// Newtype of this name: a text, or a map in its place.
pub(crate) const TEXT_OR_MAP: &str = "$text or map";

/// Keys with a default that `~` turns off, where elsewhere it means that a key is left out.
const OFF: [&str; 2] = ["failed_logins", "failed_tokens"];

/// More faults than anybody reads at once.
const MAX_PROBLEMS: usize = 500;

/// Reads `root` as a `T`. `None` only where nothing of it can be read.
pub(crate) fn read<T: DeserializeOwned>(root: &mut Node, problems: &mut Vec<Problem>) -> Option<T> {
    while problems.len() < MAX_PROBLEMS {
        match T::deserialize(Reader { node: root }) {
            Ok(value) => return Some(value),
            Err(refusal) => {
                let problem = refusal.problem(root);
                let marked = mark(root, &refusal.steps);
                problems.push(problem);
                if !marked {
                    break;
                }
            }
        }
    }
    None
}

/// Breaks the node at the end of the steps; `false` where there is none.
fn mark(root: &mut Node, steps: &[Step]) -> bool {
    let mut node = root;
    if steps.is_empty() {
        return false;
    }
    for step in steps.iter().rev() {
        let next = match (step, &mut node.value) {
            (Step::Index(index), Value::List(items)) => items.iter_mut().filter(|item| !item.is_broken()).nth(*index),
            (Step::Key(name), Value::Map(entries)) => {
                entries.iter_mut().find(|entry| entry.key == *name).map(|entry| &mut entry.value)
            }
            _ => None,
        };
        let Some(next) = next else { return false };
        node = next;
    }
    node.value = Value::Broken;
    true
}

/// A deserializer over one node. Scalars become what is asked for, quoted or not, as environment variables have no types.
#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
}

impl<'a> Reader<'a> {
    fn unexpected(self) -> Unexpected<'a> {
        match &self.node.value {
            Value::Scalar { null: true, .. } | Value::Broken => Unexpected::Unit,
            Value::Scalar { text, .. } => Unexpected::Str(text),
            Value::List(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
        }
    }

    fn refuse<T>(self, visitor: &dyn Expected) -> Result<T, Refusal> {
        Err(Refusal::invalid_type(self.unexpected(), visitor))
    }

    fn text(self) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar { text, null: false } => Some(text),
            _ => None,
        }
    }

    fn integer<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let text = self.text().unwrap_or_default();
        match (text.parse::<u64>(), text.parse::<i64>()) {
            (Ok(number), _) => visitor.visit_u64(number),
            (_, Ok(number)) => visitor.visit_i64(number),
            _ => self.refuse(&visitor),
        }
    }

    fn entries<V: Visitor<'a>>(self, visitor: V, optional: &'static [&'static str]) -> Result<V::Value, Refusal> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(Entries { rest: entries.iter(), current: None, optional }),
            _ => self.refuse(&visitor),
        }
    }
}

impl<'a> Deserializer<'a> for Reader<'a> {
    type Error = Refusal;

    fn deserialize_u16<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.integer(visitor)
    }

    fn deserialize_u64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.integer(visitor)
    }

    fn deserialize_i64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.integer(visitor)
    }

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match &self.node.value {
            Value::Scalar { null: true, .. } | Value::Broken => visitor.visit_unit(),
            Value::Scalar { text, .. } => visitor.visit_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.text() {
            Some("true" | "True" | "TRUE") => visitor.visit_bool(true),
            Some("false" | "False" | "FALSE") => visitor.visit_bool(false),
            _ => self.refuse(&visitor),
        }
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.text() {
            Some(text) => visitor.visit_str(text),
            None => self.refuse(&visitor),
        }
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(self, name: &'static str, visitor: V) -> Result<V::Value, Refusal> {
        match (name, &self.node.value) {
            (ONE_OR_MANY, Value::List(_)) => self.deserialize_seq(visitor),
            (TEXT_OR_MAP, Value::Scalar { .. }) => self.deserialize_string(visitor),
            (TEXT_OR_MAP, Value::List(_)) => self.refuse(&visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items { rest: items.iter(), index: 0 }),
            _ => self.refuse(&visitor),
        }
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.entries(visitor, &[])
    }

    /// Of a section, a key without value counts as not given.
    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.entries(visitor, fields)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match &self.node.value {
            Value::Scalar { text, null: false } => visitor.visit_enum(StrDeserializer::new(text)),
            Value::Map(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Variant { entry }),
                _ => Err(Refusal::custom("must be a text, or a map of one key")),
            },
            _ => Err(Refusal::custom(format!("must be a text, not {}", kind(&self.unexpected())))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        <W: Visitor<'a>>
        i8 i16 i32 i128 u8 u32 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

struct Items<'a> {
    rest: std::slice::Iter<'a, Node>,
    index: usize,
}

impl<'a> SeqAccess<'a> for Items<'a> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let Some(node) = self.rest.find(|node| !node.is_broken()) else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Reader { node }).map(Some).map_err(|refusal| refusal.within(Step::Index(index), node.line))
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, Entry>,
    current: Option<&'a Entry>,
    /// Keys that count as not given when they have no value.
    optional: &'static [&'static str],
}

impl<'a> Entries<'a> {
    fn next_given(&mut self) -> Option<&'a Entry> {
        let optional = self.optional;
        self.rest.find(|entry| {
            let key = entry.key.as_str();
            let off = OFF.contains(&key) && entry.value.is_spelled_null();
            let left_out = entry.value.is_null() && !off && optional.contains(&key);
            !left_out && !entry.value.is_broken()
        })
    }
}

impl<'a> MapAccess<'a> for Entries<'a> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        let Some(entry) = self.next_given() else { return Ok(None) };
        self.current = Some(entry);
        let key: StrDeserializer<'_, Refusal> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|refusal| refusal.within(Step::Key(entry.key.clone()), entry.line))
    }

    fn next_value_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let entry = self.current.take().ok_or_else(|| Refusal::custom("a value was asked for before its key"))?;
        seed.deserialize(Reader { node: &entry.value })
            .map_err(|refusal| refusal.within(Step::Key(entry.key.clone()), entry.value.line))
    }
}

/// The one key of a map in place of an enum's text.
struct Variant<'a> {
    entry: &'a Entry,
}

impl<'a> EnumAccess<'a> for Variant<'a> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<(T::Value, Self), Refusal> {
        let key: StrDeserializer<'_, Refusal> = self.entry.key.as_str().into_deserializer();
        Ok((seed.deserialize(key)?, self))
    }
}

impl<'a> VariantAccess<'a> for Variant<'a> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        Err(Refusal::custom(format!("`{}` takes no value", self.entry.key)))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, Refusal> {
        let entry = self.entry;
        seed.deserialize(Reader { node: &entry.value })
            .map_err(|refusal| refusal.within(Step::Key(entry.key.clone()), entry.value.line))
    }

    fn tuple_variant<V: Visitor<'a>>(self, _length: usize, visitor: V) -> Result<V::Value, Refusal> {
        Reader { node: &self.entry.value }.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'a>>(self, _fields: &'static [&'static str], visitor: V) -> Result<V::Value, Refusal> {
        Reader { node: &self.entry.value }.deserialize_map(visitor)
    }
}
