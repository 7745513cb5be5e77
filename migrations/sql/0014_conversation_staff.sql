--
-- Relate Conversation.staff_id to the staff
--
ALTER TABLE conversation ADD CONSTRAINT conversation_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id) ON DELETE RESTRICT
--
-- Run SQL
--
ALTER TABLE conversation ADD CONSTRAINT conversation_closed_by_fkey FOREIGN KEY (closed_by) REFERENCES staff (id) ON DELETE RESTRICT
--
-- Relate ConversationChange.staff_id to the staff
--
ALTER TABLE conversation_change ADD CONSTRAINT conversation_change_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id) ON DELETE RESTRICT
--
-- Relate ConversationChange.to_staff_id to the staff
--
ALTER TABLE conversation_change ADD CONSTRAINT conversation_change_to_staff_id_fkey FOREIGN KEY (to_staff_id) REFERENCES staff (id) ON DELETE RESTRICT
--
-- Relate ConversationMessage.staff_id to the staff
--
ALTER TABLE conversation_message ADD CONSTRAINT conversation_message_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id) ON DELETE RESTRICT
--
-- Relate ConversationRead.staff_id to the staff
--
ALTER TABLE conversation_read ADD CONSTRAINT conversation_read_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id) ON DELETE RESTRICT
--
-- Relate MemberTag.staff_id to the staff
--
ALTER TABLE member_tag ADD CONSTRAINT member_tag_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id) ON DELETE RESTRICT
--
-- Relate Seat.staff_id to the staff
--
ALTER TABLE seat ADD CONSTRAINT seat_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id) ON DELETE RESTRICT
--
-- Relate Shift.staff_id to the staff
--
ALTER TABLE shift ADD CONSTRAINT shift_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id) ON DELETE RESTRICT
