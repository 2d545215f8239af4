package permit

import (
	"os"
	"os/user"
	"strconv"
)

// UserName returns the name of a user, or the number if there is none.
func UserName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// GroupName returns the name of a group, or the number if there is none.
func GroupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

// Current returns the user of this process.
func Current() User {
	u := User{UID: uint32(os.Geteuid()), GIDs: []uint32{uint32(os.Getegid())}}
	groups, _ := os.Getgroups()
	for _, g := range groups {
		u.GIDs = append(u.GIDs, uint32(g))
	}
	u.Name, u.Group = UserName(u.UID), GroupName(u.GIDs[0])
	return u
}

// Named returns a user with the groups of the user database. If group is not empty, it is the
// primary group. Others are added.
func Named(name, group string, others ...string) (User, error) {
	entry, err := user.Lookup(name)
	if err != nil {
		if entry, err = user.LookupId(name); err != nil {
			return User{}, err
		}
	}
	gid := entry.Gid
	if group != "" {
		if gid, err = groupID(group); err != nil {
			return User{}, err
		}
	}
	ids, err := entry.GroupIds()
	if err != nil {
		return User{}, err
	}
	for _, g := range others {
		id, err := groupID(g)
		if err != nil {
			return User{}, err
		}
		ids = append(ids, id)
	}
	u := User{Name: entry.Username}
	uid, err := strconv.ParseUint(entry.Uid, 10, 32)
	if err != nil {
		return User{}, err
	}
	u.UID = uint32(uid)
	for _, id := range append([]string{gid}, ids...) {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return User{}, err
		}
		u.GIDs = append(u.GIDs, uint32(n))
	}
	u.Group = GroupName(u.GIDs[0])
	return u, nil
}

// groupID returns the number of a group that is given by its name or number.
func groupID(group string) (string, error) {
	g, err := user.LookupGroup(group)
	if err != nil {
		if g, err = user.LookupGroupId(group); err != nil {
			return "", err
		}
	}
	return g.Gid, nil
}
