"""Invited friends 邀请好友: a code per member, who came through it, and what that stays worth."""
