-- A dead letter is there once, under its source and change number: telling of it again changes the one row.
CREATE UNIQUE INDEX failed_messages_change ON failed_messages (
  json_extract(message_body, '$.source'),
  json_extract(message_body, '$.change_number')
);
