//! The shape of a value: a small vocabulary over JSON Schema. A shape that has a name is written
//! once, among the components, and referred to wherever it is used.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::Number;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOf, Array, ArrayItems, Object, Ref, Schema, SchemaFormat, SchemaType,
    Type,
};

/// The named shapes a shape refers to.
pub(in crate::api) type Named = BTreeMap<&'static str, RefOr<Schema>>;

/// What values look like.
#[derive(Clone, Debug)]
pub(in crate::api) struct Shape {
    schema: RefOr<Schema>,
    named: Named,
}

/// A field of an object.
type Field = (&'static str, Shape);

fn of(object: Object) -> Shape {
    Shape { schema: RefOr::T(Schema::Object(object)), named: Named::new() }
}

fn plain(kind: Type) -> Shape {
    of(Object::with_type(kind))
}

/// Text.
pub(in crate::api) fn text() -> Shape {
    plain(Type::String)
}

/// Text of this pattern.
pub(in crate::api) fn pattern(pattern: &str) -> Shape {
    text().with(|object| object.pattern = Some(pattern.to_owned()))
}

/// Text of at most so many bytes, without control characters.
pub(in crate::api) fn line(max: usize) -> Shape {
    pattern(r"^[^\u0000-\u001f\u007f-\u009f]*$").max(max)
}

/// Text of this format.
pub(in crate::api) fn format(format: &str) -> Shape {
    text().with(|object| object.format = Some(SchemaFormat::Custom(format.to_owned())))
}

/// A time, RFC 3339 in UTC.
pub(in crate::api) fn time() -> Shape {
    format("date-time")
}

/// A duration as Go writes it.
pub(in crate::api) fn duration() -> Shape {
    pattern("^(0|([0-9]+(\\.[0-9]+)?(ms|s|m|h))+)$").example(json!("30s"))
}

/// `true` or `false`.
pub(in crate::api) fn boolean() -> Shape {
    plain(Type::Boolean)
}

/// A whole number.
pub(in crate::api) fn integer(range: RangeInclusive<i64>) -> Shape {
    plain(Type::Integer).with(|object| {
        // The smallest and the largest there are bound nothing, and many readers lose their last
        // digits.
        let bound = |bound: i64, of: i64| (bound != of).then_some(Number::Int(bound as isize));
        object.minimum = bound(*range.start(), i64::MIN);
        object.maximum = bound(*range.end(), i64::MAX);
    })
}

/// How many there are of something.
pub(in crate::api) fn count() -> Shape {
    integer(0..=i64::MAX)
}

/// A share, 0 to 1.
pub(in crate::api) fn share() -> Shape {
    plain(Type::Number).with(|object| {
        (object.minimum, object.maximum) = (Some(Number::Int(0)), Some(Number::Int(1)));
    })
}

/// A number.
pub(in crate::api) fn number() -> Shape {
    plain(Type::Number)
}

/// One of these values, as they are written.
pub(in crate::api) fn word<T: Serialize>(all: &[T]) -> Shape {
    plain(Type::String)
        .with(|object| object.enum_values = Some(all.iter().map(|word| json!(word)).collect()))
}

/// Anything JSON has.
pub(in crate::api) fn anything() -> Shape {
    of(Object::with_type(SchemaType::AnyValue))
}

/// An object of which nothing more is known.
pub(in crate::api) fn free_object() -> Shape {
    plain(Type::Object).with(|object| {
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(true)));
    })
}

/// An object with these fields, all of them there.
pub(in crate::api) fn object<const N: usize>(fields: [Field; N]) -> Shape {
    plain(Type::Object).and(fields)
}

/// An object whose keys are free and whose values are such.
pub(in crate::api) fn map(value: Shape) -> Shape {
    let mut shape = plain(Type::Object);
    shape.named.extend(value.named);
    shape.with(|object| {
        object.additional_properties = Some(Box::new(AdditionalProperties::RefOr(value.schema)));
    })
}

/// A list of such.
pub(in crate::api) fn list_of(item: Shape) -> Shape {
    let mut array = Array::new(item.schema.clone());
    array.items = ArrayItems::RefOrSchema(Box::new(item.schema));
    Shape { schema: RefOr::T(Schema::Array(array)), named: item.named }
}

/// One of these shapes.
pub(in crate::api) fn either<const N: usize>(shapes: [Shape; N]) -> Shape {
    let (mut any, mut named) = (AnyOf::new(), Named::new());
    any.schema_type = SchemaType::AnyValue;
    for shape in shapes {
        named.extend(shape.named);
        any.items.push(shape.schema);
    }
    Shape { schema: RefOr::T(Schema::AnyOf(any)), named }
}

/// This shape under a name of its own.
pub(in crate::api) fn named(name: &'static str, shape: Shape) -> Shape {
    let mut named = shape.named;
    named.insert(name, shape.schema);
    Shape { schema: RefOr::Ref(Ref::from_schema_name(name)), named }
}

impl Shape {
    /// The schema, and the named ones it refers to.
    pub(super) fn into_parts(self) -> (RefOr<Schema>, Named) {
        (self.schema, self.named)
    }

    /// Whether the value may be a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.schema, RefOr::T(Schema::Array(_)))
    }

    /// Changes what only a plain value or an object has; on others it does nothing.
    fn with(mut self, change: impl FnOnce(&mut Object)) -> Self {
        if let RefOr::T(Schema::Object(object)) = &mut self.schema {
            change(object);
        }
        self
    }

    /// With more fields, all of them there.
    pub(in crate::api) fn and<const N: usize>(self, fields: [Field; N]) -> Self {
        self.fields(fields, true)
    }

    /// With more fields, which may be left out.
    pub(in crate::api) fn and_maybe<const N: usize>(self, fields: [Field; N]) -> Self {
        self.fields(fields, false)
    }

    /// With more fields of a body, which may be left out or `null`: that says nothing about them,
    /// or clears what can be cleared.
    pub(in crate::api) fn and_settable<const N: usize>(self, fields: [Field; N]) -> Self {
        self.fields(fields.map(|(name, shape)| (name, shape.or_null())), false)
    }

    fn fields<const N: usize>(mut self, fields: [Field; N], required: bool) -> Self {
        for (name, shape) in fields {
            self.named.extend(shape.named);
            self = self.with(|object| {
                object.properties.insert(name.to_owned(), shape.schema);
                if required {
                    object.required.push(name.to_owned());
                }
            });
        }
        self
    }

    /// With fields that answers have and that are taken back without effect (`readOnly`).
    pub(in crate::api) fn and_read_only(mut self, names: &[&str]) -> Self {
        for name in names {
            self = self.with(|object| {
                let mut ignored = Object::with_type(SchemaType::AnyValue);
                ignored.read_only = Some(true);
                object.properties.insert((*name).to_owned(), RefOr::T(Schema::Object(ignored)));
            });
        }
        self
    }

    /// And no other fields.
    pub(in crate::api) fn closed(self) -> Self {
        self.with(|object| {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        })
    }

    /// Or `null`.
    pub(in crate::api) fn or_null(mut self) -> Self {
        let with_null = |kind: &mut SchemaType| {
            if let SchemaType::Type(one) = kind {
                *kind = SchemaType::Array(vec![one.clone(), Type::Null]);
            }
        };
        match &mut self.schema {
            RefOr::T(Schema::Object(object)) => {
                with_null(&mut object.schema_type);
                if let Some(words) = &mut object.enum_values {
                    words.push(Value::Null);
                }
                self
            }
            RefOr::T(Schema::Array(array)) => {
                with_null(&mut array.schema_type);
                self
            }
            RefOr::Ref(_) | RefOr::T(_) => either([self, plain(Type::Null)]),
        }
    }

    /// What it is.
    pub(in crate::api) fn about(mut self, about: &str) -> Self {
        let about = about.to_owned();
        match &mut self.schema {
            RefOr::Ref(to) => to.description = about,
            RefOr::T(Schema::Object(object)) => object.description = Some(about),
            RefOr::T(Schema::Array(array)) => array.description = Some(about),
            RefOr::T(Schema::AnyOf(any)) => any.description = Some(about),
            RefOr::T(_) => {}
        }
        self
    }

    /// A value of this shape.
    pub(in crate::api) fn example(mut self, example: Value) -> Self {
        match &mut self.schema {
            RefOr::T(Schema::Object(object)) => object.examples = vec![example],
            RefOr::T(Schema::Array(array)) => array.examples = vec![example],
            RefOr::T(Schema::AnyOf(any)) => any.examples = vec![example],
            RefOr::Ref(_) | RefOr::T(_) => {}
        }
        self
    }

    /// What it is when it is left out.
    pub(in crate::api) fn default(self, default: Value) -> Self {
        self.with(|object| object.default = Some(default))
    }

    /// At least so long, or so many.
    pub(in crate::api) fn min(self, min: usize) -> Self {
        self.bounds(Some(min), None)
    }

    /// At most so long, or so many.
    pub(in crate::api) fn max(self, max: usize) -> Self {
        self.bounds(None, Some(max))
    }

    fn bounds(mut self, min: Option<usize>, max: Option<usize>) -> Self {
        match &mut self.schema {
            RefOr::T(Schema::Array(array)) => {
                (array.min_items, array.max_items) =
                    (min.or(array.min_items), max.or(array.max_items));
                self
            }
            _ => self.with(|object| {
                let is_object = object.schema_type == SchemaType::Type(Type::Object);
                let (low, high) = if is_object {
                    (&mut object.min_properties, &mut object.max_properties)
                } else {
                    (&mut object.min_length, &mut object.max_length)
                };
                (*low, *high) = (min.or(*low), max.or(*high));
            }),
        }
    }

    /// With keys of this pattern.
    pub(in crate::api) fn keys(self, pattern: &str) -> Self {
        self.with(|object| {
            let mut keys = Object::with_type(Type::String);
            keys.pattern = Some(pattern.to_owned());
            object.property_names = Some(Box::new(Schema::Object(keys)));
        })
    }

    /// Only ever sent, never answered.
    pub(in crate::api) fn write_only(self) -> Self {
        self.with(|object| object.write_only = Some(true))
    }

    /// Text that holds JSON.
    pub(in crate::api) fn holding_json(self) -> Self {
        self.with(|object| object.content_media_type = "application/json".to_owned())
    }
}
