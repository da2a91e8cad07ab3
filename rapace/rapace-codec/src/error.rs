//! What can go wrong, one type per boundary.
//!
//! [`UnsupportedType`] is the service author's fault and is found when the service is built;
//! [`EncodeError`] the caller's; [`DecodeError`] the peer's; [`JsonError`] the fault of whoever
//! wrote the JSON or of the bytes that were to become JSON.

use core::fmt;

/// A type without an encoding, with the path to it and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedType {
    /// Where the type was met, from the outermost type inwards: `Album.photos[].size`.
    pub path: String,
    /// The name of the type that has no encoding.
    pub type_name: String,
    /// Why it has none.
    pub reason: Unsupported,
}

/// Why a type has no encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// `usize` or `isize`.
    PlatformSized,
    /// A raw pointer, function pointer or `NonNull`.
    Pointer,
    /// A reference or another borrowed type.
    Borrowed,
    /// `Rc`, cells and the like, which cannot leave their thread.
    NotSend,
    /// Locks, weak pointers and lazily initialised cells.
    Shared,
    /// A union.
    Union,
    /// A type that facet describes as opaque.
    Opaque,
    /// A leaf type for which the protocol defines no encoding.
    NoEncoding,
    /// An enum whose memory layout the compiler may choose.
    EnumRepr,
    /// A type or field with the named facet attribute, which changes what is serialised.
    Attribute(&'static str),
    /// A `#[repr(packed)]` struct.
    Packed,
    /// `PhantomData`.
    Phantom,
    /// A map or set with another hasher than the standard library's.
    Hasher,
    /// A stream or tunnel inside a list, array, map, box or enum.
    PortPosition,
    /// A recursive type of which no finite value exists.
    Endless,
    /// A type of 4 GiB or more.
    TooLarge,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PlatformSized => {
                "its width differs between platforms; use u32 or u64 (i32 or i64) instead"
            }
            Self::Pointer => "a pointer means nothing in another process; send the value instead",
            Self::Borrowed => {
                "a payload owns what it holds; use String, Vec<u8> or bytes::Bytes instead"
            }
            Self::NotSend => "it cannot leave its thread; use Box or Arc instead",
            Self::Shared => "it is state rather than data; send the value inside it instead",
            Self::Union => "a union does not say which field is valid; use an enum instead",
            Self::Opaque => "facet sees nothing inside it; derive Facet for it, or send its parts",
            Self::NoEncoding => {
                "it has no encoding in the protocol; send it as a String, an integer or its parts"
            }
            Self::EnumRepr => "its layout is the compiler's choice; add #[repr(u8)] to the enum",
            Self::Attribute(name) => {
                return write!(
                    f,
                    "#[facet({name})] changes what is serialised, which postcard bytes cannot \
                     express; remove the attribute or send another type"
                );
            }
            Self::Packed => "its fields are unaligned; remove #[repr(packed)]",
            Self::Phantom => "a field of PhantomData carries nothing; leave it out",
            Self::Hasher => "only the standard library's hasher is supported; use BTreeMap or HashMap",
            Self::PortPosition => {
                "streams and tunnels are numbered by declaration; use them as an argument, a return \
                 value, or inside tuples, structs, Option and Result only"
            }
            Self::Endless => "it contains itself without end; put the recursion into an Option or Vec",
            Self::TooLarge => "a value of 4 GiB or more does not fit a frame; put it on the heap",
        })
    }
}

impl fmt::Display for UnsupportedType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path == self.type_name {
            write!(f, "`{}` cannot be sent: {}", self.type_name, self.reason)
        } else {
            write!(
                f,
                "`{}` of type `{}` cannot be sent: {}",
                self.path, self.type_name, self.reason
            )
        }
    }
}

impl std::error::Error for UnsupportedType {}

/// Why a port could not be attached to its call or built from its number \[call.port\].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortError {
    message: String,
}

impl PortError {
    /// An error that reads as `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }

    /// The reason as a sentence fragment.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PortError {}

/// Why a value could not be encoded. The output is then as it was before the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value nests more than [`MAX_DEPTH`](crate::MAX_DEPTH) boxes and lists.
    TooDeep,
    /// More than [`MAX_EMPTY_ELEMENTS`](crate::MAX_EMPTY_ELEMENTS) list elements without bytes.
    TooManyEmptyElements,
    /// The buffer given to [`Codec::encode_into`](crate::Codec::encode_into) is too short.
    BufferTooSmall {
        /// Bytes in the buffer.
        len: usize,
    },
    /// A stream or tunnel could not be attached, for instance because it was sent before.
    Port(PortError),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep => write!(
                f,
                "the value nests more than {} boxes and lists",
                crate::MAX_DEPTH
            ),
            Self::TooManyEmptyElements => write!(
                f,
                "the value holds more than {} elements that take no bytes",
                crate::MAX_EMPTY_ELEMENTS
            ),
            Self::BufferTooSmall { len } => {
                write!(f, "the value does not fit the buffer of {len} bytes")
            }
            Self::Port(error) => write!(f, "a stream or tunnel cannot be sent: {error}"),
        }
    }
}

impl std::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Port(error) => Some(error),
            _ => None,
        }
    }
}

/// Why bytes are not a value of the expected type, and where \[enc.strict\].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// Offset in bytes from the start of the payload.
    pub position: usize,
    /// The field being decoded, `Image.tags[3].name`; empty when it is the whole value.
    pub path: String,
    /// What is wrong there.
    pub kind: DecodeErrorKind,
}

/// What is wrong with the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end in the middle of a value.
    UnexpectedEnd,
    /// A varint continues beyond ⌈bits/7⌉ bytes.
    VarintTooLong,
    /// A varint holds a number that does not fit the field.
    NumberOutOfRange,
    /// A bool that is neither 0 nor 1.
    InvalidBool,
    /// An option tag that is neither 0 nor 1.
    InvalidOption,
    /// A variant index that the enum does not have.
    InvalidVariant,
    /// A string that is not UTF-8.
    InvalidUtf8,
    /// A char that is not exactly one Unicode scalar value.
    InvalidChar,
    /// A duration with a thousand million nanoseconds or more.
    InvalidDuration,
    /// A length or count that the bytes left cannot hold.
    LengthTooLarge,
    /// Bytes are left over after the value.
    TrailingBytes,
    /// More than [`MAX_DEPTH`](crate::MAX_DEPTH) nested boxes and lists.
    TooDeep,
    /// More than [`MAX_EMPTY_ELEMENTS`](crate::MAX_EMPTY_ELEMENTS) elements without bytes.
    TooManyEmptyElements,
    /// The lengths claimed would take more memory than any valid input of this size.
    OverBudget,
    /// The type's own invariants do not hold.
    Invariant(String),
    /// The port number was refused; answered with `INVALID_ARGUMENT` \[call.port\].
    Port(PortError),
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnexpectedEnd => "the bytes end too early",
            Self::VarintTooLong => "a varint is too long",
            Self::NumberOutOfRange => "a number is out of range",
            Self::InvalidBool => "a bool is neither 0 nor 1",
            Self::InvalidOption => "an option tag is neither 0 nor 1",
            Self::InvalidVariant => "there is no variant with this index",
            Self::InvalidUtf8 => "a string is not UTF-8",
            Self::InvalidChar => "a char is not one Unicode scalar value",
            Self::InvalidDuration => "a duration has too many nanoseconds",
            Self::LengthTooLarge => "a length is larger than the bytes left",
            Self::TrailingBytes => "bytes are left over",
            Self::TooDeep => "the value nests too deeply",
            Self::TooManyEmptyElements => "too many elements take no bytes",
            Self::OverBudget => "the claimed lengths exceed what the bytes can hold",
            Self::Invariant(message) => return write!(f, "an invariant does not hold: {message}"),
            Self::Port(error) => return write!(f, "a port was refused: {error}"),
        })
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}", self.position)?;
        if !self.path.is_empty() {
            write!(f, ", in field `{}`", self.path)?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl std::error::Error for DecodeError {}

/// Why JSON and postcard bytes could not be turned into each other by a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// The place in the value, `options.tags[3]`; empty when it is the whole value.
    pub path: String,
    /// What is wrong there.
    pub kind: JsonErrorKind,
}

/// What is wrong with the JSON, the bytes or the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// The JSON value is of another type than the schema asks for.
    Expected {
        /// What the schema asks for, as in `an integer from 0 to 255`.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A field that the schema has and the JSON object lacks.
    MissingField(String),
    /// A field that the JSON object has and the schema lacks.
    UnknownField(String),
    /// A variant name that the schema lacks.
    UnknownVariant(String),
    /// The bytes are not a value of this schema.
    Bytes(DecodeError),
    /// The value nests more than [`MAX_DEPTH`](crate::MAX_DEPTH) levels, options and structs
    /// included.
    TooDeep,
    /// The schema refers back to a type that does not enclose the reference.
    BadBackReference,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "in `{}`: ", self.path)?;
        }
        match &self.kind {
            JsonErrorKind::Expected { expected, found } => {
                write!(f, "expected {expected}, found {found}")
            }
            JsonErrorKind::MissingField(name) => write!(f, "field `{name}` is missing"),
            JsonErrorKind::UnknownField(name) => write!(f, "there is no field `{name}`"),
            JsonErrorKind::UnknownVariant(name) => write!(f, "there is no variant `{name}`"),
            JsonErrorKind::Bytes(error) => error.fmt(f),
            JsonErrorKind::TooDeep => f.write_str("the value nests too deeply"),
            JsonErrorKind::BadBackReference => {
                f.write_str("the schema refers to an enclosing type that does not exist")
            }
        }
    }
}

impl std::error::Error for JsonError {}
