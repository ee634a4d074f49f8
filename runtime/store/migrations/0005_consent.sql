-- Whether the caller agreed to be recorded, where that was asked.
ALTER TABLE call_record ADD COLUMN consent TEXT;
