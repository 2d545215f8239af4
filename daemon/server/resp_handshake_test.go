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
	okReply  = "+OK\r\n"
	noParams = "*0\r\n"
	noGroup  = "-ERR This instance has cluster support disabled\r\n"
)

// uniqueID is what StackExchange.Redis echoes: 16 random bytes, which may have any value.
const uniqueID = "*$\r\n\x00\x01\xff\xfe\r\n\r\n+-:$"

var infoReplies = bulks("# Replication\r\nrole:master\r\nconnected_slaves:0\r\n") +
	bulks("# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\ntokend_version:1.2.3\r\n")

var handshakes = map[string]handshake{
	// StackExchange.Redis has one connection for commands and one for messages.
	"StackExchange.Redis": {
		[]string{
			"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$8\r\nWEB(SE.R\r\n" +
				"*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nlib-name\r\n$8\r\nSE.Redis\r\n" +
				"*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$7\r\nlib-ver\r\n$6\r\n2.8.16\r\n" +
				"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n" +
				"*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$7\r\ntimeout\r\n" +
				"*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$15\r\nslave-read-only\r\n" +
				"*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$17\r\nreplica-read-only\r\n" +
				"*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$9\r\ndatabases\r\n" +
				"*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n" +
				"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n" +
				"*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n" +
				"*2\r\n$3\r\nGET\r\n$22\r\n__Booksleeve_TieBreak_\r\n" +
				"*2\r\n$4\r\nECHO\r\n$16\r\n" + uniqueID + "\r\n",
			"*2\r\n$4\r\nECHO\r\n$16\r\n" + uniqueID + "\r\n",
		},
		[]string{
			okReply + okReply + okReply + ":1\r\n" +
				"*2\r\n" + bulks("timeout", "0") + "*2\r\n" + bulks("slave-read-only", "no") + "*2\r\n" + bulks("replica-read-only", "no") +
				"*2\r\n" + bulks("databases", "1") + infoReplies + noGroup + null2 + bulks(uniqueID),
			bulks(uniqueID),
		},
	},
	"StackExchange.Redis, messages": {
		[]string{
			"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$8\r\nWEB(SE.R\r\n" +
				"*2\r\n$9\r\nSUBSCRIBE\r\n$28\r\n__Booksleeve_MasterChanged_0\r\n",
			"*1\r\n$4\r\nPING\r\n",
		},
		[]string{okReply + event("subscribe", "__Booksleeve_MasterChanged_0", 1), "*2\r\n" + bulks("pong", "")},
	},
	"StackExchange.Redis, RESP3": {
		[]string{"*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$6\r\nsecret\r\n$7\r\nSETNAME\r\n$3\r\nWEB\r\n" +
			"*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$7\r\ntimeout\r\n" +
			"*2\r\n$3\r\nGET\r\n$22\r\n__Booksleeve_TieBreak_\r\n" +
			"*2\r\n$9\r\nSUBSCRIBE\r\n$28\r\n__Booksleeve_MasterChanged_0\r\n" +
			"*2\r\n$4\r\nECHO\r\n$16\r\n" + uniqueID + "\r\n"},
		[]string{hello3 + "%1\r\n" + bulks("timeout", "0") + null3 + ">" + event("subscribe", "__Booksleeve_MasterChanged_0", 1)[1:] + bulks(uniqueID)},
	},
	"lettuce": {
		[]string{
			"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n",
			"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$3\r\napp\r\n" +
				"*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nlib-name\r\n$7\r\nLettuce\r\n" +
				"*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$7\r\nlib-ver\r\n$21\r\n6.3.2.RELEASE/8941aea\r\n",
			"*1\r\n$4\r\nPING\r\n",
			"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*1\r\n$7\r\nCOMMAND\r\n",
		},
		[]string{hello3, okReply + okReply + okReply, "+PONG\r\n", okReply + noParams},
	},
	"lettuce, RESP2": {
		[]string{"*3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$6\r\nsecret\r\n", "*1\r\n$4\r\nPING\r\n"},
		[]string{okReply, "+PONG\r\n"},
	},
	"jedis": {
		[]string{
			"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n",
			"*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nLIB-NAME\r\n$5\r\njedis\r\n" +
				"*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$7\r\nLIB-VER\r\n$5\r\n5.1.0\r\n" +
				"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$3\r\napp\r\n",
			"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n",
			"*1\r\n$4\r\nPING\r\n",
		},
		[]string{okReply, okReply + okReply + okReply, okReply, "+PONG\r\n"},
	},
	"jedis, RESP3": {
		[]string{
			"*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$6\r\nsecret\r\n",
			"*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nLIB-NAME\r\n$5\r\njedis\r\n",
		},
		[]string{hello3, okReply},
	},
}

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
