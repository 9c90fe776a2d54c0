"""Reading queries and judgements, in the formats that collections come in."""
