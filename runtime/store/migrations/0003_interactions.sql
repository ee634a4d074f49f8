-- The call with which a call's interaction began, where that is another one.
ALTER TABLE call_record ADD COLUMN interaction TEXT;
