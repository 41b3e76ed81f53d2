import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.MessageDigest;
import java.util.HexFormat;

/** An unchanged Java program: {@code java Client HttpClient|URLConnection URL} makes three calls and prints what came of them as JSON. */
final class Client {
    private static byte[] byHttpClient(String method, String url, byte[] body, String name) throws Exception {
        HttpRequest.BodyPublisher content = body == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofByteArray(body);
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).method(method, content).header("X-Client", name).build();
        return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofByteArray()).body();
    }

    private static byte[] byUrlConnection(String method, String url, byte[] body, String name) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
        connection.setRequestMethod(method);
        connection.setRequestProperty("X-Client", name);
        if (body != null) {
            connection.setDoOutput(true);
            connection.getOutputStream().write(body);
        }
        try (InputStream answer = connection.getInputStream()) {
            return answer.readAllBytes();
        }
    }

    private static byte[] call(String library, String method, String url, byte[] body) throws Exception {
        return library.equals("HttpClient") ? byHttpClient(method, url, body, library) : byUrlConnection(method, url, body, library);
    }

    public static void main(String[] args) throws Exception {
        byte[] body = new byte[1 << 20];
        for (int index = 0; index < body.length; index++) body[index] = (byte) (index % 251);
        String echo = new String(call(args[0], "GET", args[1] + "/echo", null));
        String digest = new String(call(args[0], "POST", args[1] + "/digest", body));
        byte[] bytes = MessageDigest.getInstance("SHA-256").digest(call(args[0], "GET", args[1] + "/bytes/300000", null));
        System.out.println("{\"echo\":" + echo + ",\"digest\":" + digest + ",\"sha256\":\"" + HexFormat.of().formatHex(bytes) + "\"}");
    }
}
