//! Call control: who talks with whom in a call that is in the hands of people.

mod request;
