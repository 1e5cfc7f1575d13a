"""People 人员: users, posts 岗位 and duty rosters 值班表. Records, the drafts people write, and what can be wrong with them. Pure."""
