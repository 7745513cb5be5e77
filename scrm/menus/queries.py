"""What an entry of a menu is called, for those who read that it was pressed."""

# Of an event e: the name that its key has in the account's menu, null for a key that stands there no more.
ENTRY = """
CASE WHEN e.kind LIKE 'wechat.event.%' AND e.payload ? 'key' THEN (
    SELECT jsonb_path_query_first(
        b.buttons, '$.** ? (@.key == $key).name', jsonb_build_object('key', e.payload->'key')
    ) #>> '{}'
    FROM menu b WHERE b.account_id = e.account_id
) END
"""
