"""Foreign keys to the staff: who serves, who is on duty, who wrote, who closed, who tagged."""

from copy import deepcopy
from typing import Any

from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.fields.relational import OneToOneFieldInstance
from tortoise.migrations import operations as ops


class Relate(ops.RunSQL):
    """Make a foreign key of a column that already holds the ids.

    What is generated for such a change drops the column and adds it anew, losing what it holds.
    """

    def __init__(self, model: str, table: str, field: Any, name: str = "staff") -> None:
        self.model, self.name, self.column, self.field = model, name, f"{name}_id", field
        super().__init__(
            f"ALTER TABLE {table} ADD CONSTRAINT {table}_{self.column}_fkey "
            f"FOREIGN KEY ({self.column}) REFERENCES staff (id) ON DELETE RESTRICT",
            f"ALTER TABLE {table} DROP CONSTRAINT {table}_{self.column}_fkey",
        )

    def describe(self) -> str:
        return f"Relate {self.model}.{self.column} to the staff"

    def state_forward(self, app_label: str, state: Any) -> None:
        model = self.get_model_state(state, app_label, self.model)
        del model.fields[self.column]
        model.fields[self.name] = deepcopy(self.field)
        if isinstance(self.field, OneToOneFieldInstance):
            model.pk_field_name = self.name
        state.reload_models({(app_label, self.model), (app_label, "Staff")})


def staff(column: str, **more: Any) -> Any:
    return fields.ForeignKeyField(
        "scrm.Staff", source_field=column, db_constraint=True, to_field="id", on_delete=OnDelete.RESTRICT, **more
    )


class Migration(migrations.Migration):
    dependencies = [("scrm", "0013_quick_replies")]

    initial = False

    operations = [
        Relate("Conversation", "conversation", staff("staff_id", null=True)),
        # By hand: tortoise finds no relation whose name and column differ.
        ops.RunSQL(
            "ALTER TABLE conversation ADD CONSTRAINT conversation_closed_by_fkey "
            "FOREIGN KEY (closed_by) REFERENCES staff (id) ON DELETE RESTRICT",
            "ALTER TABLE conversation DROP CONSTRAINT conversation_closed_by_fkey",
        ),
        Relate("ConversationChange", "conversation_change", staff("staff_id", null=True)),
        Relate(
            "ConversationChange", "conversation_change", staff("to_staff_id", null=True, related_name=False), "to_staff"
        ),
        Relate("ConversationMessage", "conversation_message", staff("staff_id", null=True)),
        Relate("ConversationRead", "conversation_read", staff("staff_id")),
        Relate("MemberTag", "member_tag", staff("staff_id", null=True)),
        Relate(
            "Seat",
            "seat",
            fields.OneToOneField(
                "scrm.Staff",
                source_field="staff_id",
                primary_key=True,
                db_index=True,
                db_constraint=True,
                to_field="id",
                on_delete=OnDelete.RESTRICT,
            ),
        ),
        Relate("Shift", "shift", staff("staff_id")),
    ]
