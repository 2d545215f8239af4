package server

import (
	"strings"
	"testing"

	"tokend/daemon/access"
)

// handshake is what a client sends before its user's commands, in the batches in which it sends
// them, and what it gets.
type handshake struct{ sent, got []string }

const (
	okReply = "+OK\r\n"
	noGroup = "-ERR This instance has cluster support disabled\r\n"
)

// uniqueID is what StackExchange.Redis echoes: 16 random bytes, which may have any value. seenID
// was recorded.
const (
	uniqueID = "*$\r\n\x00\x01\xff\xfe\r\n\r\n+-:$"
	seenID   = "\x16\xa4\xc3n5\x93\x9dC\xa6\x19\xfct\x89\xfa\xe6\xcc"
)

const (
	seName     = "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$3\r\nWEB\r\n"
	seLibrary  = "*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nlib-name\r\n$8\r\nSE.Redis\r\n*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$7\r\nlib-ver\r\n$6\r\n2.8.16\r\n*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n"
	seTimeout  = "*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$7\r\ntimeout\r\n"
	seSlave    = "*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$15\r\nslave-read-only\r\n"
	seReplica  = "*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$17\r\nreplica-read-only\r\n"
	seBases    = "*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$9\r\ndatabases\r\n"
	seSections = "*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n"
	seCluster  = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n"
	seTieBreak = "*2\r\n$3\r\nGET\r\n$21\r\n__Booksleeve_TieBreak\r\n"
	seEcho     = "*2\r\n$4\r\nECHO\r\n$16\r\n"
	seChannel  = "*2\r\n$9\r\nSUBSCRIBE\r\n$26\r\n__Booksleeve_MasterChanged\r\n"

	appName  = "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$3\r\napp\r\n"
	userAuth = "*3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$6\r\nsecret\r\n"
	ping     = "*1\r\n$4\r\nPING\r\n"

	jedisLibrary = "*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nLIB-NAME\r\n$5\r\njedis\r\n*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$7\r\nLIB-VER\r\n$5\r\n5.1.0\r\n"
)

var (
	infoReplies = bulks("# Replication\r\nrole:master\r\nconnected_slaves:0\r\n") +
		bulks("# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\ntokend_version:1.2.3\r\n")
	infoReply = bulks("# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\ntokend_version:1.2.3\r\n\r\n" +
		"# Persistence\r\nloading:0\r\n\r\n# Replication\r\nrole:master\r\nconnected_slaves:0\r\n")
)

// handshakes were recorded between these versions of the clients and tokend, with one exception:
// StackExchange.Redis 2.8.16 needs a newer .NET than mono. What it sends was composed from its
// source code, ServerEndPoint.HandshakeAsync and AutoConfigureAsync.
var handshakes = map[string]handshake{
	// StackExchange.Redis has one connection for commands and one for messages.
	"StackExchange.Redis 1.2.6": {
		[]string{seName + seTimeout + seSlave + seBases + "*1\r\n$4\r\nINFO\r\n" + seCluster + seEcho + seenID + "\r\n"},
		[]string{okReply + pairOf("timeout", "0") + pairOf("slave-read-only", "no") + pairOf("databases", "1") + infoReply + noGroup + bulks(seenID)},
	},
	"StackExchange.Redis 1.2.6, messages": {
		[]string{seName + seEcho + seenID + "\r\n" + seChannel, ping},
		[]string{okReply + bulks(seenID) + event("subscribe", "__Booksleeve_MasterChanged", 1), "*2\r\n" + bulks("pong", "")},
	},
	"StackExchange.Redis 2.8.16": {
		[]string{
			seName + seLibrary + seTimeout + seSlave + seBases + seSections + seCluster + seTieBreak + seEcho + uniqueID + "\r\n",
			seTimeout + seReplica + seBases, // later, when it knows the version
		},
		[]string{
			okReply + okReply + okReply + ":1\r\n" + pairOf("timeout", "0") + pairOf("slave-read-only", "no") + pairOf("databases", "1") +
				infoReplies + noGroup + null2 + bulks(uniqueID),
			pairOf("timeout", "0") + pairOf("replica-read-only", "no") + pairOf("databases", "1"),
		},
	},
	"StackExchange.Redis 2.8.16, messages": {
		[]string{seName + seLibrary + seEcho + uniqueID + "\r\n" + seChannel, ping},
		[]string{okReply + okReply + okReply + ":1\r\n" + bulks(uniqueID) + event("subscribe", "__Booksleeve_MasterChanged", 1), "*2\r\n" + bulks("pong", "")},
	},
	"StackExchange.Redis 2.8.16, RESP3": {
		[]string{
			"*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$6\r\nsecret\r\n$7\r\nSETNAME\r\n$3\r\nWEB\r\n" +
				"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n" + seName + seLibrary + seTimeout + seTieBreak + seEcho + uniqueID + "\r\n",
			seChannel,
		},
		[]string{
			hello3 + okReply + okReply + okReply + okReply + ":1\r\n%1\r\n" + bulks("timeout", "0") + null3 + bulks(uniqueID),
			">" + event("subscribe", "__Booksleeve_MasterChanged", 1)[1:],
		},
	},
	"lettuce 6.3.2": {
		[]string{"*4\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$7\r\nSETNAME\r\n$3\r\napp\r\n", ping},
		[]string{hello3, "+PONG\r\n"},
	},
	"lettuce 6.3.2, password": {
		[]string{"*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$6\r\nsecret\r\n$7\r\nSETNAME\r\n$3\r\napp\r\n"},
		[]string{hello3},
	},
	"lettuce 6.3.2, RESP2": {
		[]string{ping, appName},
		[]string{"+PONG\r\n", okReply},
	},
	"lettuce 6.3.2, RESP2, password": {
		[]string{userAuth, appName},
		[]string{okReply, okReply},
	},
	"jedis 5.1.0": {
		[]string{jedisLibrary},
		[]string{okReply + okReply},
	},
	"jedis 5.1.0, user": {
		[]string{userAuth, appName + jedisLibrary},
		[]string{okReply, okReply + okReply + okReply},
	},
	"jedis 5.1.0, password and database": {
		[]string{"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n", jedisLibrary, "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n"},
		[]string{okReply, okReply + okReply, "-ERR DB index is out of range\r\n"},
	},
	"jedis 5.1.0, RESP2": {
		[]string{"*5\r\n$5\r\nHELLO\r\n$1\r\n2\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$6\r\nsecret\r\n", appName + jedisLibrary},
		[]string{hello2, okReply + okReply + okReply},
	},
	"jedis 5.1.0, RESP3": {
		[]string{"*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$6\r\nsecret\r\n", appName + jedisLibrary},
		[]string{hello3, okReply + okReply + okReply},
	},
}

// pairOf is the map of RESP2 with one pair.
func pairOf(key, value string) string { return "*2\r\n" + bulks(key, value) }

// TestHandshakes replays the handshakes of clients that are not run otherwise, batch by batch and
// then a GET and a DEL.
func TestHandshakes(t *testing.T) {
	for name, h := range handshakes {
		t.Run(name, func(t *testing.T) {
			s, _ := newRespSession(t, access.Peer{UID: guest})
			defer s.close()
			for i, batch := range h.sent {
				if got := replay(t, s, batch); got != h.got[i] {
					t.Errorf("batch %d\n got %q\nwant %q", i, got, h.got[i])
				}
			}
			if strings.Contains(name, "messages") {
				return
			}
			if got, want := replay(t, s, cmd("GET "+token)+cmd("DEL nothing")), bulks("tok-01")+":0\r\n"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// replay is drive for a session that may have subscriptions.
func replay(t *testing.T, s *session, in string) string {
	t.Helper()
	got, last := drive(t, s, []byte(in))
	if last != more {
		t.Errorf("the session wants %d", last)
	}
	return got
}
